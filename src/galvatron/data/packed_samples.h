// Training samples of whole documents: as many in each as fit best, the rest is padding.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "galvatron/data/best_fit.h"
#include "galvatron/data/epoch_order.h"
#include "galvatron/data/indexed_dataset.h"
#include "galvatron/data/token_rows.h"
#include "galvatron/data/token_samples.h"

namespace galvatron::data {

// A document longer than a sample is cut into pieces that overlap by one token: the last of a piece
// is the first of the next, so that each token but the first of a document is the label of one. A
// document of one token teaches nothing and is left out. Parts of the split are whole documents.
// What is packed where is a function of the file, the split and seq_length.
class PackedSamples : public TokenRows {
 public:
  // Tokens of a sample that a piece of so many tokens takes: as many at least, and no more than a
  // sample has.
  using SizeOf = std::function<std::int64_t(std::int64_t tokens)>;
  // `options`: keep_documents_apart is as good as set. A piece takes its tokens where `taken_by` is
  // empty. ConfigError as TokenSamples.
  PackedSamples(const TokenSamplesOptions& options, std::int64_t vocab_size,
                const SizeOf& taken_by = {});

  std::int64_t size() const override { return packing_.num_bins(); }
  std::int64_t seq_length() const override { return seq_length_; }
  std::int64_t vocab_size() const override { return vocab_size_; }
  bool has_documents() const override { return true; }
  std::vector<DocumentPart> documents(std::int64_t sample) const override;
  // Padding is token 0. ConfigError for a token beyond the vocabulary.
  void read_tokens(std::int64_t sample, std::int64_t first,
                   std::span<std::int64_t> out) const override;

  // Of all tokens of all samples those that are no padding.
  double fill() const;

 private:
  struct Piece {
    std::int64_t first = 0;  // token of the file
    std::int32_t size = 0;
  };
  void cut(Range documents);
  std::span<const std::int64_t> items_of(std::int64_t sample) const;

  IndexedDataset dataset_;
  std::int64_t seq_length_;
  std::int64_t vocab_size_;
  std::vector<Piece> pieces_;
  Packing packing_;
  EpochOrder order_;
};

}  // namespace galvatron::data
