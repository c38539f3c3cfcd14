#include "galvatron/data/token_rows.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"

namespace galvatron::data {

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
    labels = std::copy(row.begin() + 1, row.end(), labels);
  }
  return batch;
}

}  // namespace galvatron::data
