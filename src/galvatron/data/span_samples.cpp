#include "galvatron/data/span_samples.h"

#include <algorithm>
#include <optional>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"
#include "galvatron/data/permutation.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kLeastText = 2;  // a token that stays, and one that is asked for

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

// Of the first tokens of a text, as many as there is room for; none where that is too little.
std::optional<spec::SpanCorruption> corruption_within(std::int64_t text, std::int64_t inputs,
                                                      std::int64_t targets) {
  for (; text >= kLeastText; --text) {
    const spec::SpanCorruption out = spec::corruption_of_text(text);
    if (out.inputs <= inputs && out.targets <= targets) return out;
  }
  return std::nullopt;
}

}  // namespace

SpanSamples::SpanSamples(std::unique_ptr<TokenRows> rows, std::int64_t seq_length,
                         const SpanOptions& options)
    : rows_(std::move(rows)), lengths_(spec::span_corruption(seq_length)), options_(options) {
  GALV_CHECK(rows_->seq_length() == lengths_.text, "rows of ", rows_->seq_length(), " tokens, not ",
             lengths_.text);
}

bool SpanSamples::says(spec::InputKind kind) const {
  return rows_->has_documents() &&
         (kind == spec::InputKind::kDocuments || kind == spec::InputKind::kTargetDocuments);
}

std::vector<SpanSamples::Text> SpanSamples::texts(std::int64_t sample) const {
  if (!rows_->has_documents()) return {{0, lengths_}};
  std::vector<Text> out;
  std::int64_t inputs = lengths_.inputs, targets = lengths_.targets;  // room
  for (const DocumentPart& part : rows_->documents(sample)) {
    const auto lengths = corruption_within(part.tokens.size(), inputs, targets);
    if (!lengths) continue;
    out.push_back({part.tokens.begin, *lengths});
    inputs -= lengths->inputs;
    targets -= lengths->targets;
  }
  return out;
}

void SpanSamples::add_text(Corrupted& out, const Text& text, std::int64_t sample,
                           std::uint64_t key) const {
  const spec::SpanCorruption& lengths = text.lengths;
  Row tokens(static_cast<std::size_t>(lengths.text));
  rows_->read_tokens(sample, text.first, tokens);
  const auto kept = random_lengths(lengths.text - lengths.noise, lengths.spans, key);
  const auto gaps = random_lengths(lengths.noise, lengths.spans, scramble(key));
  out.target_inputs.push_back(options_.start_token);
  auto next = tokens.begin();
  for (std::size_t span = 0; span < kept.size(); ++span) {
    const std::int64_t sentinel = options_.first_sentinel - static_cast<std::int64_t>(span);
    out.inputs.insert(out.inputs.end(), next, next + kept[span]);
    next += kept[span];
    out.inputs.push_back(sentinel);
    for (Row* targets : {&out.target_inputs, &out.labels}) {
      targets->push_back(sentinel);
      targets->insert(targets->end(), next, next + gaps[span]);
    }
    next += gaps[span];
  }
  out.inputs.push_back(options_.end_token);
  out.labels.push_back(options_.end_token);
}

SpanSamples::Corrupted SpanSamples::corrupt(std::int64_t sample) const {
  std::uint64_t key =
      scramble(scramble(options_.seed ^ 0x7370616eULL) ^ static_cast<std::uint64_t>(sample));
  Corrupted out;
  std::int64_t id = 0;
  for (const Text& text : texts(sample)) {
    add_text(out, text, sample, key);
    out.documents.resize(out.inputs.size(), ++id);
    out.target_documents.resize(out.labels.size(), id);
    key = scramble(scramble(key));  // scramble(key) is that of its gaps
  }
  const auto inputs = static_cast<std::size_t>(lengths_.inputs);
  const auto targets = static_cast<std::size_t>(lengths_.targets);
  GALV_CHECK(out.inputs.size() <= inputs && out.labels.size() <= targets, "texts of ",
             out.inputs.size(), " and ", out.labels.size(), " tokens in samples of ", inputs,
             " and ", targets);
  for (Row* row : {&out.inputs, &out.documents}) row->resize(inputs, 0);
  for (Row* row : {&out.target_inputs, &out.target_documents}) row->resize(targets, 0);
  out.labels.resize(targets, kIgnoredLabel);
  return out;
}

const SpanSamples::Row& SpanSamples::row_of(const Corrupted& sample, spec::InputKind kind) {
  switch (kind) {
    case spec::InputKind::kTokens:
      return sample.inputs;
    case spec::InputKind::kTargetTokens:
      return sample.target_inputs;
    case spec::InputKind::kLabels:
      return sample.labels;
    case spec::InputKind::kDocuments:
      return sample.documents;
    case spec::InputKind::kTargetDocuments:
      return sample.target_documents;
    default:
      GALV_CHECK(false, "samples of spans have tokens, targets, labels and documents");
  }
}

at::Tensor SpanSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                              Range tokens) const {
  at::Tensor batch = at::empty({samples.size(), tokens.size()}, at::kLong);
  std::int64_t* out = batch.data_ptr<std::int64_t>();
  for (std::int64_t sample = consumed + samples.begin; sample < consumed + samples.end; ++sample) {
    if (tokens.empty()) break;
    const Corrupted corrupted = corrupt(sample);
    const Row& from = row_of(corrupted, kind);
    GALV_CHECK(tokens.end <= static_cast<std::int64_t>(from.size()), "tokens up to ", tokens.end,
               " of ", from.size());
    out = std::copy(from.begin() + tokens.begin, from.begin() + tokens.end, out);
  }
  return batch;
}

double SpanSamples::num_labels(std::int64_t consumed, std::int64_t count) const {
  if (!rows_->has_documents()) return static_cast<double>(count * lengths_.targets);
  std::int64_t labels = 0;
  for (std::int64_t sample = consumed; sample < consumed + count; ++sample) {
    for (const Text& text : texts(sample)) labels += text.lengths.targets;
  }
  return static_cast<double>(labels);
}

}  // namespace galvatron::data
