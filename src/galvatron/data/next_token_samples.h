// Predict each token from those before it: GPT, LLaMA.
#pragma once
#include <memory>

#include "galvatron/data/sample_source.h"
#include "galvatron/data/token_rows.h"

namespace galvatron::data {

class NextTokenSamples : public SampleSource {
 public:
  explicit NextTokenSamples(std::unique_ptr<TokenRows> rows);

  std::int64_t size() const override { return rows_->size(); }
  std::int64_t seq_length() const override { return rows_->seq_length(); }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override;
  double num_labels(std::int64_t consumed, std::int64_t count) const override;

 private:
  std::unique_ptr<TokenRows> rows_;
};

}  // namespace galvatron::data
