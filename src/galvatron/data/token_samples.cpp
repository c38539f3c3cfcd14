#include "galvatron/data/token_samples.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/data/corpus_info.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kTokensCheckedAtStart = std::int64_t{64} << 20;

Range choose_part(const IndexedDataset& dataset, const TokenSamplesOptions& options) {
  if (options.seq_length < 1)
    throw ConfigError("[data] seq_length ", options.seq_length, " must be at least 1");
  const SplitWeights weights = parse_split(options.split);
  const std::int64_t samples =
      dataset.num_tokens() > 0 ? (dataset.num_tokens() - 1) / options.seq_length : 0;
  if (samples == 0) {
    throw ConfigError("[data] ", options.prefix, " has ", dataset.num_tokens(),
                      " tokens, less than one sample of ", options.seq_length,
                      " inputs and a label; give more text or a shorter --seq-length");
  }
  const Range part = split_ranges(samples, weights).at(static_cast<std::size_t>(options.part));
  if (part.empty()) {
    throw ConfigError("[data] --split ", options.split, " leaves the ", to_text(options.part),
                      " part of ", options.prefix, " empty: there are ", samples, " samples of ",
                      options.seq_length, " tokens");
  }
  return part;
}

}  // namespace

TokenSamples::TokenSamples(const TokenSamplesOptions& options, std::int64_t vocab_size)
    : dataset_(options.prefix),
      seq_length_(options.seq_length),
      vocab_size_(vocab_size),
      order_{choose_part(dataset_, options), options.shuffle, options.seed} {
  check_corpus_info();
  check_first_tokens();
}

void TokenSamples::check_corpus_info() const {
  const auto info = read_corpus_info(dataset_.prefix());
  if (!info) return;
  if (info->tokens != dataset_.num_tokens()) {
    throw ConfigError("[data] ", dataset_.prefix(), ".json describes ", info->tokens,
                      " tokens, the index ", dataset_.num_tokens(),
                      ": they do not belong together; prepare the corpus again");
  }
  if (info->vocab_size > vocab_size_) {
    throw ConfigError("[data] ", dataset_.prefix(), " was made with a vocabulary of ",
                      info->vocab_size, ", the model has ", vocab_size_,
                      "; choose a model with at least as many");
  }
}

void TokenSamples::check_first_tokens() const {
  const std::int64_t begin = order_.part.begin * seq_length_;
  const std::int64_t end =
      std::min(order_.part.end * seq_length_ + 1, begin + kTokensCheckedAtStart);
  check_token(dataset_.most_extreme_token({begin, end}), vocab_size_, dataset_.prefix());
}

void TokenSamples::read_tokens(std::int64_t sample, std::int64_t first,
                               std::span<std::int64_t> out) const {
  const std::int64_t start = index_in_file(sample) * seq_length_ + first;
  dataset_.read(start, out);
  for (std::size_t i = 0; i < out.size(); ++i) {
    check_token({start + static_cast<std::int64_t>(i), out[i]}, vocab_size_, dataset_.prefix());
  }
}

}  // namespace galvatron::data
