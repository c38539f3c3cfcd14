#include "galvatron/spec/span_corruption.h"

#include <algorithm>
#include <cmath>

namespace galvatron::spec {
namespace {

constexpr double kNoiseDensity = 0.15, kMeanSpanLength = 3;

std::int64_t rounded(double value) { return static_cast<std::int64_t>(std::nearbyint(value)); }

// Of `whole` what is as large a part of it as `count` is of `all`, rounded up.
std::int64_t share(std::int64_t count, std::int64_t all, std::int64_t whole) {
  return (count * whole + all - 1) / all;
}

}  // namespace

SpanCorruption corruption_of_text(std::int64_t text) {
  SpanCorruption out;
  out.text = text;
  out.noise = std::clamp<std::int64_t>(rounded(static_cast<double>(text) * kNoiseDensity), 1,
                                       std::max<std::int64_t>(text - 1, 1));
  out.spans = std::max<std::int64_t>(rounded(static_cast<double>(out.noise) / kMeanSpanLength), 1);
  out.inputs = text - out.noise + out.spans + 1;
  out.targets = out.noise + out.spans + 1;
  return out;
}

SpanCorruption span_corruption(std::int64_t seq_length) {
  // Inputs are at most text + 1 and grow by 0 or 1 with each token of text.
  SpanCorruption best = corruption_of_text(std::max<std::int64_t>(seq_length - 1, 2));
  while (true) {
    const SpanCorruption next = corruption_of_text(best.text + 1);
    if (next.inputs > seq_length) return best;
    best = next;
  }
}

std::int64_t tokens_taken(std::int64_t text, const SpanCorruption& sample) {
  const SpanCorruption own = corruption_of_text(text);
  return std::max({text, share(own.inputs, sample.inputs, sample.text),
                   share(own.targets, sample.targets, sample.text)});
}

}  // namespace galvatron::spec
