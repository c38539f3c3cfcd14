#include "galvatron/data/next_token_samples.h"

#include "galvatron/base/error.h"

namespace galvatron::data {

NextTokenSamples::NextTokenSamples(std::unique_ptr<TokenRows> rows) : rows_(std::move(rows)) {}

at::Tensor NextTokenSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                   Range tokens) const {
  switch (kind) {
    case spec::InputKind::kTokens:
      return rows_->next_tokens(consumed, samples, tokens).inputs;
    case spec::InputKind::kLabels:
      return rows_->next_tokens(consumed, samples, tokens).labels;
    case spec::InputKind::kDocuments:
      return rows_->document_ids(consumed, samples, tokens);
    case spec::InputKind::kPositions:
      return rows_->positions(consumed, samples, tokens);
    default:
      GALV_CHECK(false, "next-token samples have tokens and labels");
  }
}

bool NextTokenSamples::says(spec::InputKind kind) const { return says_documents(*rows_, kind); }

double NextTokenSamples::num_labels(std::int64_t consumed, std::int64_t count) const {
  if (!rows_->has_documents()) return static_cast<double>(count * seq_length());
  std::int64_t labels = 0;
  for (std::int64_t sample = consumed; sample < consumed + count; ++sample) {
    for (const DocumentPart& part : rows_->documents(sample))
      labels += part.tokens.size() - (part.goes_on ? 0 : 1);
  }
  return static_cast<double>(labels);
}

}  // namespace galvatron::data
