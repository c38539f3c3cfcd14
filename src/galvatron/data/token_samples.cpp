#include "galvatron/data/token_samples.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/data/corpus_info.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kTokensCheckedAtStart = std::int64_t{64} << 20;
constexpr std::int64_t kVocabMultiple = 64;  // that vocabularies usually are made up to

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
      order_{choose_part(dataset_, options), options.shuffle, options.seed},
      keep_documents_apart_(options.keep_documents_apart) {
  check_corpus_info(dataset_, vocab_size_);
  check_first_tokens();
  if (keep_documents_apart_) dataset_.require_documents();
}

void check_corpus_info(const IndexedDataset& dataset, std::int64_t vocab_size) {
  const auto info = read_corpus_info(dataset.prefix());
  if (!info) return;
  if (info->tokens != dataset.num_tokens()) {
    throw ConfigError("[data] ", dataset.prefix(), ".json describes ", info->tokens,
                      " tokens, the index ", dataset.num_tokens(),
                      ": they do not belong together; prepare the corpus again");
  }
  if (info->vocab_size > vocab_size) {
    throw ConfigError("[data] ", dataset.prefix(), " was made with a vocabulary of ",
                      info->vocab_size, ", the model has ", vocab_size,
                      "; choose a model with at least as many, or make one (--vocab-size ",
                      round_up(info->vocab_size, kVocabMultiple), ", or auto)");
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
  read_checked(dataset_, index_in_file(sample) * seq_length_ + first, vocab_size_, out);
}

std::vector<DocumentPart> TokenSamples::documents(std::int64_t sample) const {
  const std::int64_t begin = index_in_file(sample) * seq_length_;
  const Range here{begin, begin + seq_length_};
  std::vector<DocumentPart> out;
  for (std::int64_t i = dataset_.document_of(begin); i < dataset_.document_count(); ++i) {
    const Range whole = dataset_.document(i), part = intersect(whole, here);
    if (whole.begin >= here.end) break;
    if (!part.empty())
      out.push_back({{part.begin - begin, part.end - begin}, whole.end > here.end});
  }
  return out;
}

void read_checked(const IndexedDataset& dataset, std::int64_t first, std::int64_t vocab_size,
                  std::span<std::int64_t> out) {
  dataset.read(first, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    check_token({first + static_cast<std::int64_t>(i), out[i]}, vocab_size, dataset.prefix());
}

}  // namespace galvatron::data
