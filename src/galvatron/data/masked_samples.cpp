#include "galvatron/data/masked_samples.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"
#include "galvatron/data/permutation.h"

namespace galvatron::data {
namespace {

constexpr double kChosen = 0.15;
constexpr std::int64_t kIgnoredLabel = -100;

std::int64_t chosen_of(std::int64_t length) {
  return std::max<std::int64_t>(std::llround(static_cast<double>(length) * kChosen), 1);
}

std::uint64_t sample_key(std::uint64_t seed, std::int64_t sample) {
  return scramble(scramble(seed ^ 0x6d61736bULL) ^ static_cast<std::uint64_t>(sample));
}

}  // namespace

MaskedSamples::MaskedSamples(std::unique_ptr<TokenRows> rows, const MaskingOptions& options)
    : rows_(std::move(rows)), options_(options), num_chosen_(chosen_of(rows_->seq_length())) {
  GALV_CHECK(options.mask_token >= 0 && options.mask_token < rows_->vocab_size(), "mask token ",
             options.mask_token);
}

std::int64_t MaskedSamples::shown(std::int64_t token, std::uint64_t key,
                                  std::int64_t position) const {
  const std::uint64_t dice = scramble(key + static_cast<std::uint64_t>(position));
  switch (dice % 10) {
    case 8:
      return static_cast<std::int64_t>(scramble(dice) %
                                       static_cast<std::uint64_t>(rows_->vocab_size()));
    case 9:
      return token;
    default:
      return options_.mask_token;
  }
}

at::Tensor MaskedSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                Range tokens) const {
  const bool labels = kind == spec::InputKind::kLabels;
  GALV_CHECK(labels || kind == spec::InputKind::kTokens, "masked samples have tokens and labels");
  at::Tensor batch = at::empty({samples.size(), tokens.size()}, at::kLong);
  std::int64_t* out = batch.data_ptr<std::int64_t>();
  std::vector<std::int64_t> row(static_cast<std::size_t>(tokens.size()));
  for (std::int64_t sample = consumed + samples.begin; sample < consumed + samples.end; ++sample) {
    if (tokens.empty()) break;
    rows_->read_tokens(sample, tokens.begin, row);
    const std::uint64_t key = sample_key(options_.seed, sample);
    const Permutation order(seq_length(), key);
    for (std::int64_t position = tokens.begin; position < tokens.end; ++position) {
      const std::int64_t token = row[static_cast<std::size_t>(position - tokens.begin)];
      const bool chosen = order(position) < num_chosen_;
      *out++ = labels ? (chosen ? token : kIgnoredLabel)
                      : (chosen ? shown(token, key, position) : token);
    }
  }
  return batch;
}

double MaskedSamples::num_labels(std::int64_t, std::int64_t count) const {
  return static_cast<double>(count * num_chosen_);
}

}  // namespace galvatron::data
