// Write what stood in the gaps of a text: T5's pre-training (Raffel et al. 2020, section 3.1.4).
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "galvatron/data/sample_source.h"
#include "galvatron/data/token_rows.h"
#include "galvatron/spec/span_corruption.h"

namespace galvatron::data {

struct SpanOptions {
  std::int64_t first_sentinel =
      0;                         // stands for the first gap, first_sentinel - 1 for the second ...
  std::int64_t end_token = 1;    // ends inputs and targets
  std::int64_t start_token = 0;  // what the decoder reads first
  std::uint64_t seed = 1234;
};

// About 15 % of a text's tokens, in spans of 3 on average, are replaced by one sentinel each; the
// target is each sentinel with what it stands for. Where the spans lie is a function of (seed,
// sample) only, and new in each epoch. A sample of one text has the same lengths as every other, so
// nothing is padded. Documents that are kept apart are texts of their own: each has its spans, its
// first sentinel, its end, and its place in both sequences. Behind the last of them is padding,
// token 0; of one for which there is too little room its first tokens count, and a document of one
// token is left out.
class SpanSamples : public SampleSource {
 public:
  // REQUIRES: seq_length >= 3, rows of span_corruption(seq_length).text tokens.
  SpanSamples(std::unique_ptr<TokenRows> rows, std::int64_t seq_length, const SpanOptions& options);

  std::int64_t size() const override { return rows_->size(); }
  std::int64_t seq_length() const override { return lengths_.inputs; }
  // Tokens are what the encoder reads, target tokens what the decoder does: the labels one place
  // later.
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override;
  double num_labels(std::int64_t consumed, std::int64_t count) const override;

 private:
  using Row = std::vector<std::int64_t>;
  // What the encoder reads, what the decoder reads and shall say, and which text of the sample the
  // tokens of both are of.
  struct Corrupted {
    Row inputs, target_inputs, labels, documents, target_documents;
  };
  // Tokens [first, first + lengths.text) of a sample's row.
  struct Text {
    std::int64_t first = 0;
    spec::SpanCorruption lengths;
  };
  std::vector<Text> texts(std::int64_t sample) const;
  void add_text(Corrupted& out, const Text& text, std::int64_t sample, std::uint64_t key) const;
  Corrupted corrupt(std::int64_t sample) const;
  static const Row& row_of(const Corrupted& sample, spec::InputKind kind);

  std::unique_ptr<TokenRows> rows_;
  spec::SpanCorruption lengths_;
  SpanOptions options_;
};

}  // namespace galvatron::data
