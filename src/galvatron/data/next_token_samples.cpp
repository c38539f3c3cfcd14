#include "galvatron/data/next_token_samples.h"

#include "galvatron/base/error.h"

namespace galvatron::data {

NextTokenSamples::NextTokenSamples(std::unique_ptr<TokenRows> rows) : rows_(std::move(rows)) {}

at::Tensor NextTokenSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                   Range tokens) const {
  const NextTokens next = rows_->next_tokens(consumed, samples, tokens);
  if (kind == spec::InputKind::kTokens) return next.inputs;
  GALV_CHECK(kind == spec::InputKind::kLabels, "next-token samples have tokens and labels");
  return next.labels;
}

double NextTokenSamples::num_labels(std::int64_t, std::int64_t count) const {
  return static_cast<double>(count * seq_length());
}

}  // namespace galvatron::data
