#include "galvatron/data/token_rows.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"
#include "galvatron/data/sample_source.h"

namespace galvatron::data {
namespace {

// The sample's labels that are of the document of their input; the others count no longer.
void drop_labels(const std::vector<DocumentPart>& parts, Range tokens, std::int64_t* labels) {
  std::int64_t next = tokens.begin;  // no part so far has it
  const auto drop_to = [&](std::int64_t end) {
    for (; next < std::min(end, tokens.end); ++next) labels[next - tokens.begin] = kIgnoredLabel;
  };
  for (const DocumentPart& part : parts) {
    drop_to(part.tokens.begin);
    next = std::max(next, part.goes_on ? part.tokens.end : part.tokens.end - 1);
  }
  drop_to(tokens.end);
}

}  // namespace

NextTokens TokenRows::next_tokens(std::int64_t consumed, Range samples, Range tokens) const {
  GALV_CHECK(consumed >= 0 && samples.begin >= 0 && samples.size() >= 0, "consumed ", consumed,
             ", samples ", samples.begin, " to ", samples.end);
  GALV_CHECK(tokens.begin >= 0 && tokens.size() >= 0 && tokens.end <= seq_length(), "tokens ",
             tokens.begin, " to ", tokens.end, " of ", seq_length());
  NextTokens batch{at::empty({samples.size(), tokens.size()}, at::kLong),
                   at::empty({samples.size(), tokens.size()}, at::kLong)};
  if (samples.empty() || tokens.empty()) return batch;
  std::vector<std::int64_t> row(static_cast<std::size_t>(tokens.size()) + 1);
  std::int64_t* inputs = batch.inputs.data_ptr<std::int64_t>();
  std::int64_t* labels = batch.labels.data_ptr<std::int64_t>();
  for (std::int64_t sample = samples.begin; sample < samples.end; ++sample) {
    read_tokens(consumed + sample, tokens.begin, row);
    inputs = std::copy(row.begin(), row.end() - 1, inputs);
    std::copy(row.begin() + 1, row.end(), labels);
    if (has_documents()) drop_labels(documents(consumed + sample), tokens, labels);
    labels += tokens.size();
  }
  return batch;
}

bool says_documents(const TokenRows& rows, spec::InputKind kind) {
  return rows.has_documents() &&
         (kind == spec::InputKind::kDocuments || kind == spec::InputKind::kPositions);
}

at::Tensor TokenRows::document_ids(std::int64_t consumed, Range samples, Range tokens) const {
  at::Tensor out = at::zeros({samples.size(), seq_length()}, at::kLong);
  for (std::int64_t sample = samples.begin; sample < samples.end; ++sample) {
    std::int64_t* row = out.data_ptr<std::int64_t>() + (sample - samples.begin) * seq_length();
    std::int64_t id = 0;
    for (const DocumentPart& part : documents(consumed + sample))
      std::fill(row + part.tokens.begin, row + part.tokens.end, ++id);
  }
  return out.narrow(1, tokens.begin, tokens.size());
}

at::Tensor TokenRows::positions(std::int64_t consumed, Range samples, Range tokens) const {
  at::Tensor out = at::zeros({samples.size(), seq_length()}, at::kLong);
  for (std::int64_t sample = samples.begin; sample < samples.end; ++sample) {
    std::int64_t* row = out.data_ptr<std::int64_t>() + (sample - samples.begin) * seq_length();
    for (const DocumentPart& part : documents(consumed + sample))
      std::iota(row + part.tokens.begin, row + part.tokens.end, 0);
  }
  return out.narrow(1, tokens.begin, tokens.size());
}

}  // namespace galvatron::data
