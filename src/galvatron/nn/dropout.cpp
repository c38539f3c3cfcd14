#include "galvatron/nn/dropout.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/counter_random.h"

namespace galvatron::nn {
namespace {

at::Tensor positions(std::int64_t begin, std::int64_t count, c10::Device device) {
  return at::arange(begin, begin + count, at::TensorOptions().dtype(at::kLong).device(device));
}

at::Tensor apply_mask(const at::Tensor& x, const at::Tensor& index, const Dropout& options) {
  const at::Tensor keep = keep_mask(index, options.key, options.p);
  return x * keep.to(x.scalar_type()).mul_(1 / (1 - options.p));
}

// x holds samples, tokens and features of a whole [samples, length, num_features], from the given
// ones on.
at::Tensor drop_elements(const at::Tensor& x, const Dropout& options, const LayerCall& call,
                         std::int64_t length, std::int64_t first_token, std::int64_t first_feature,
                         std::int64_t num_features) {
  if (!options.active(call) || x.numel() == 0) return x;
  const at::Tensor samples = positions(call.first_sample, x.size(0), x.device()).view({-1, 1, 1});
  const at::Tensor tokens = positions(first_token, x.size(1), x.device()).view({1, -1, 1});
  const at::Tensor features = positions(first_feature, x.size(2), x.device());
  return apply_mask(x, (samples * length + tokens) * num_features + features, options);
}

}  // namespace

at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call) {
  return dropout(x_BSH, options, call, call.sequence);
}

at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call,
                   const SequenceSplit& split) {
  return drop_elements(x_BSH, options, call, split.length, split.tokens.begin, 0, x_BSH.size(2));
}

at::Tensor region_dropout(const at::Tensor& x_BTF, const Dropout& options, const LayerCall& call,
                          Range features, std::int64_t num_features) {
  return drop_elements(x_BTF, options, call, call.sequence.length, call.sequence.block_tokens.begin,
                       features.begin, num_features);
}

at::Tensor attention_dropout(const at::Tensor& probabilities, const Dropout& options,
                             const LayerCall& call, Range heads, std::int64_t num_heads) {
  if (!options.active(call)) return probabilities;
  const auto device = probabilities.device();
  const std::int64_t rows = probabilities.size(0), queries = probabilities.size(2),
                     keys = probabilities.size(3);
  const std::int64_t windows = call.num_samples > 0 ? rows / call.num_samples : 1;  // of a sample
  const at::Tensor row = positions(call.first_sample * windows, rows, device).view({-1, 1, 1, 1});
  const at::Tensor head = positions(heads.begin, heads.size(), device).view({1, -1, 1, 1});
  const at::Tensor query = positions(0, queries, device).view({1, 1, -1, 1});
  const at::Tensor index =
      ((row * num_heads + head) * queries + query) * keys + positions(0, keys, device);
  return apply_mask(probabilities, index, options);
}

}  // namespace galvatron::nn
