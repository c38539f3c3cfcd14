// Training samples of a token file: sample i is the S tokens from i*S on, its labels the tokens one
// place further.
#pragma once
#include <cstdint>
#include <string>

#include "galvatron/data/epoch_order.h"
#include "galvatron/data/indexed_dataset.h"
#include "galvatron/data/split.h"
#include "galvatron/data/token_rows.h"

namespace galvatron::data {

struct TokenSamplesOptions {
  // PREFIX of PREFIX.bin and PREFIX.idx; PREFIX.json is checked too where there is one.
  std::string prefix;
  // S, tokens of input per sample.
  std::int64_t seq_length = 1024;
  // Weights of training, validation and test: see split.h.
  std::string split = "969,30,1";
  SplitPart part = SplitPart::kTrain;
  // A new order in each epoch, a function of (seed, epoch) only. Without it samples come in the
  // order of the file.
  bool shuffle = true;
  std::uint64_t seed = 1234;
  // Documents that follow one another in a sample are told apart.
  bool keep_documents_apart = false;
};

// Documents follow one another in a sample: nothing is padded and no token is lost but the last few
// of the file.
class TokenSamples : public TokenRows {
 public:
  // ConfigError when the files are damaged, hold less than one sample, leave this part of the split
  // empty, or hold tokens beyond `vocab_size` (looked for in the first 64 Mi tokens of this part;
  // read_tokens() checks what it reads).
  TokenSamples(const TokenSamplesOptions& options, std::int64_t vocab_size);

  std::int64_t size() const override { return order_.part.size(); }
  std::int64_t seq_length() const override { return seq_length_; }
  std::int64_t vocab_size() const override { return vocab_size_; }
  const IndexedDataset& dataset() const { return dataset_; }

  // Which S tokens of the file the run's sample `sample` is: it starts at token index *
  // seq_length().
  std::int64_t index_in_file(std::int64_t sample) const { return order_.index_in_file(sample); }

  bool has_documents() const override { return keep_documents_apart_; }
  std::vector<DocumentPart> documents(std::int64_t sample) const override;

  // ConfigError for a token beyond the vocabulary.
  void read_tokens(std::int64_t sample, std::int64_t first,
                   std::span<std::int64_t> out) const override;

 private:
  void check_first_tokens() const;

  IndexedDataset dataset_;
  std::int64_t seq_length_;
  std::int64_t vocab_size_;
  EpochOrder order_;
  bool keep_documents_apart_;
};

// What galvatron-data says of its corpus beside the pair, where it does: ConfigError where that
// does not belong to it, or its vocabulary is larger.
void check_corpus_info(const IndexedDataset& dataset, std::int64_t vocab_size);

// Tokens [first, first + out.size()) of the file. ConfigError for one beyond the vocabulary.
void read_checked(const IndexedDataset& dataset, std::int64_t first, std::int64_t vocab_size,
                  std::span<std::int64_t> out);

}  // namespace galvatron::data
