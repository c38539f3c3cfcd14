// Tell the tokens that were hidden from those around them: BERT (Devlin et al. 2018, section 3.1).
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "galvatron/data/sample_source.h"
#include "galvatron/data/token_rows.h"
#include "galvatron/data/tokenizer_file.h"

namespace galvatron::data {

struct MaskingOptions {
  std::int64_t mask_token = 0;  // stands for a hidden token
  std::uint64_t seed = 1234;
  // Not empty: whole words are chosen, but for the last one, which is cut where the count is full.
  WordPieces words;
};

// Of each sample 15 % of its tokens are chosen, the same number of equally long ones: four fifths
// of them become the mask token, a tenth another token of the vocabulary, a tenth stay. Their
// labels are the tokens themselves, those of all others do not count. Which is a function of (seed,
// sample, position) only, and new in each epoch.
class MaskedSamples : public SampleSource {
 public:
  // REQUIRES: mask_token is in the vocabulary of the rows.
  MaskedSamples(std::unique_ptr<TokenRows> rows, const MaskingOptions& options);

  std::int64_t size() const override { return rows_->size(); }
  std::int64_t seq_length() const override { return rows_->seq_length(); }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override;
  double num_labels(std::int64_t consumed, std::int64_t count) const override;

 private:
  std::int64_t text_length(std::int64_t sample) const;  // what follows is padding
  // By position, of a whole sample.
  std::vector<bool> choose(std::int64_t sample, std::uint64_t key) const;
  std::int64_t shown(std::int64_t token, std::uint64_t key, std::int64_t position) const;

  std::unique_ptr<TokenRows> rows_;
  MaskingOptions options_;
};

}  // namespace galvatron::data
