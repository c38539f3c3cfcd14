#include "galvatron/data/span_samples.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"
#include "galvatron/data/permutation.h"

namespace galvatron::data {
namespace {

// `total` in `parts` pieces of at least 1, all divisions alike probable: parts - 1 of the borders
// between neighbours are cuts. REQUIRES: 1 <= parts <= total.
std::vector<std::int64_t> random_lengths(std::int64_t total, std::int64_t parts,
                                         std::uint64_t key) {
  std::vector<std::int64_t> lengths{1};
  if (total == 1) return lengths;
  const Permutation order(total - 1, key);
  for (std::int64_t border = 0; border + 1 < total; ++border) {
    if (order(border) < parts - 1) {
      lengths.push_back(1);
    } else {
      ++lengths.back();
    }
  }
  return lengths;
}

}  // namespace

SpanSamples::SpanSamples(std::unique_ptr<TokenRows> rows, std::int64_t seq_length,
                         const SpanOptions& options)
    : rows_(std::move(rows)), lengths_(spec::span_corruption(seq_length)), options_(options) {
  GALV_CHECK(rows_->seq_length() == lengths_.text, "rows of ", rows_->seq_length(), " tokens, not ",
             lengths_.text);
}

SpanSamples::Corrupted SpanSamples::corrupt(std::int64_t sample) const {
  std::vector<std::int64_t> text(static_cast<std::size_t>(lengths_.text));
  rows_->read_tokens(sample, 0, text);
  const std::uint64_t key =
      scramble(scramble(options_.seed ^ 0x7370616eULL) ^ static_cast<std::uint64_t>(sample));
  const auto kept = random_lengths(lengths_.text - lengths_.noise, lengths_.spans, key);
  const auto gaps = random_lengths(lengths_.noise, lengths_.spans, scramble(key));
  Corrupted out;
  auto next = text.begin();
  for (std::size_t span = 0; span < kept.size(); ++span) {
    const std::int64_t sentinel = options_.first_sentinel - static_cast<std::int64_t>(span);
    out.inputs.insert(out.inputs.end(), next, next + kept[span]);
    next += kept[span];
    out.inputs.push_back(sentinel);
    out.targets.push_back(sentinel);
    out.targets.insert(out.targets.end(), next, next + gaps[span]);
    next += gaps[span];
  }
  out.inputs.push_back(options_.end_token);
  out.targets.push_back(options_.end_token);
  return out;
}

at::Tensor SpanSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                              Range tokens) const {
  at::Tensor batch = at::empty({samples.size(), tokens.size()}, at::kLong);
  std::int64_t* out = batch.data_ptr<std::int64_t>();
  for (std::int64_t sample = consumed + samples.begin; sample < consumed + samples.end; ++sample) {
    if (tokens.empty()) break;
    Corrupted row = corrupt(sample);
    if (kind == spec::InputKind::kTargetTokens) {
      row.targets.insert(row.targets.begin(), options_.start_token);
      row.targets.pop_back();
    }
    const auto& from = kind == spec::InputKind::kTokens ? row.inputs : row.targets;
    GALV_CHECK(tokens.end <= static_cast<std::int64_t>(from.size()), "tokens up to ", tokens.end,
               " of ", from.size());
    out = std::copy(from.begin() + tokens.begin, from.begin() + tokens.end, out);
  }
  return batch;
}

double SpanSamples::num_labels(std::int64_t, std::int64_t count) const {
  return static_cast<double>(count * lengths_.targets);
}

}  // namespace galvatron::data
