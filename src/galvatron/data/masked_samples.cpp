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

std::int64_t chosen_of(std::int64_t length) {
  return std::max<std::int64_t>(std::llround(static_cast<double>(length) * kChosen), 1);
}

std::uint64_t sample_key(std::uint64_t seed, std::int64_t sample) {
  return scramble(scramble(seed ^ 0x6d61736bULL) ^ static_cast<std::uint64_t>(sample));
}

std::vector<bool> choose_tokens(std::int64_t length, std::int64_t count, std::uint64_t key) {
  const Permutation order(length, key);
  std::vector<bool> chosen;
  for (std::int64_t position = 0; position < length; ++position) {
    chosen.push_back(order(position) < count);
  }
  return chosen;
}

// Words in a random order, until `count` tokens are chosen.
std::vector<bool> choose_words(const std::vector<std::int64_t>& row, const WordPieces& pieces,
                               std::int64_t count, std::uint64_t key) {
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i == 0 || !pieces.continues(row[i - 1], row[i])) begins.push_back(i);
  }
  const Permutation order(static_cast<std::int64_t>(begins.size()), key);
  std::vector<std::size_t> word_at(begins.size());
  for (std::size_t word = 0; word < begins.size(); ++word) {
    word_at[static_cast<std::size_t>(order(static_cast<std::int64_t>(word)))] = word;
  }
  begins.push_back(row.size());
  std::vector<bool> chosen(row.size(), false);
  for (const std::size_t word : word_at) {
    for (std::size_t i = begins[word]; i < begins[word + 1] && count > 0; ++i, --count)
      chosen[i] = true;
  }
  return chosen;
}

}  // namespace

MaskedSamples::MaskedSamples(std::unique_ptr<TokenRows> rows, const MaskingOptions& options)
    : rows_(std::move(rows)), options_(options) {
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

std::vector<bool> MaskedSamples::choose(std::int64_t sample, std::uint64_t key) const {
  const std::int64_t length = text_length(sample), count = chosen_of(length);
  std::vector<bool> chosen;
  if (options_.words.empty()) {
    chosen = choose_tokens(length, count, key);
  } else {
    std::vector<std::int64_t> row(static_cast<std::size_t>(length));
    rows_->read_tokens(sample, 0, row);
    chosen = choose_words(row, options_.words, count, key);
  }
  chosen.resize(static_cast<std::size_t>(seq_length()), false);
  return chosen;
}

std::int64_t MaskedSamples::text_length(std::int64_t sample) const {
  return rows_->has_documents() ? rows_->documents(sample).back().tokens.end : seq_length();
}

bool MaskedSamples::says(spec::InputKind kind) const { return says_documents(*rows_, kind); }

at::Tensor MaskedSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                Range tokens) const {
  if (kind == spec::InputKind::kDocuments) return rows_->document_ids(consumed, samples, tokens);
  if (kind == spec::InputKind::kPositions) return rows_->positions(consumed, samples, tokens);
  const bool labels = kind == spec::InputKind::kLabels;
  GALV_CHECK(labels || kind == spec::InputKind::kTokens, "masked samples have tokens and labels");
  at::Tensor batch = at::empty({samples.size(), tokens.size()}, at::kLong);
  std::int64_t* out = batch.data_ptr<std::int64_t>();
  std::vector<std::int64_t> row(static_cast<std::size_t>(tokens.size()));
  for (std::int64_t sample = consumed + samples.begin; sample < consumed + samples.end; ++sample) {
    if (tokens.empty()) break;
    rows_->read_tokens(sample, tokens.begin, row);
    const std::uint64_t key = sample_key(options_.seed, sample);
    const std::vector<bool> is_chosen = choose(sample, key);
    for (std::int64_t position = tokens.begin; position < tokens.end; ++position) {
      const std::int64_t token = row[static_cast<std::size_t>(position - tokens.begin)];
      const bool chosen = is_chosen[static_cast<std::size_t>(position)];
      *out++ = labels ? (chosen ? token : kIgnoredLabel)
                      : (chosen ? shown(token, key, position) : token);
    }
  }
  return batch;
}

double MaskedSamples::num_labels(std::int64_t consumed, std::int64_t count) const {
  if (!rows_->has_documents()) return static_cast<double>(count * chosen_of(seq_length()));
  std::int64_t labels = 0;
  for (std::int64_t sample = consumed; sample < consumed + count; ++sample)
    labels += chosen_of(text_length(sample));
  return static_cast<double>(labels);
}

}  // namespace galvatron::data
