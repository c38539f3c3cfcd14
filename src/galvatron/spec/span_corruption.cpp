#include "galvatron/spec/span_corruption.h"

#include <algorithm>
#include <cmath>

namespace galvatron::spec {
namespace {

constexpr double kNoiseDensity = 0.15, kMeanSpanLength = 3;

std::int64_t rounded(double value) { return static_cast<std::int64_t>(std::nearbyint(value)); }

SpanCorruption corruption_of(std::int64_t text) {
  SpanCorruption out;
  out.text = text;
  out.noise = std::clamp<std::int64_t>(rounded(static_cast<double>(text) * kNoiseDensity), 1,
                                       std::max<std::int64_t>(text - 1, 1));
  out.spans = std::max<std::int64_t>(rounded(static_cast<double>(out.noise) / kMeanSpanLength), 1);
  out.inputs = text - out.noise + out.spans + 1;
  out.targets = out.noise + out.spans + 1;
  return out;
}

}  // namespace

SpanCorruption span_corruption(std::int64_t seq_length) {
  // Inputs are at most text + 1 and grow by 0 or 1 with each token of text.
  SpanCorruption best = corruption_of(std::max<std::int64_t>(seq_length - 1, 2));
  while (true) {
    const SpanCorruption next = corruption_of(best.text + 1);
    if (next.inputs > seq_length) return best;
    best = next;
  }
}

}  // namespace galvatron::spec
