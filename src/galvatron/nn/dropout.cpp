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

}  // namespace

at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call) {
  if (!options.active(call) || x_BSH.numel() == 0) return x_BSH;
  const std::int64_t features = x_BSH.size(2);
  const at::Tensor samples = positions(call.first_sample, x_BSH.size(0), x_BSH.device()).view({-1, 1, 1});
  const at::Tensor tokens = positions(call.sequence.tokens.begin, x_BSH.size(1), x_BSH.device()).view({1, -1, 1});
  const at::Tensor index = (samples * call.sequence.length + tokens) * features + positions(0, features, x_BSH.device());
  return apply_mask(x_BSH, index, options);
}

at::Tensor attention_dropout(const at::Tensor& probabilities, const Dropout& options, const LayerCall& call, Range heads,
                             std::int64_t num_heads) {
  if (!options.active(call)) return probabilities;
  const auto device = probabilities.device();
  const std::int64_t rows = probabilities.size(0), queries = probabilities.size(2), keys = probabilities.size(3);
  const std::int64_t windows = call.num_samples > 0 ? rows / call.num_samples : 1;  // of a sample
  const at::Tensor row = positions(call.first_sample * windows, rows, device).view({-1, 1, 1, 1});
  const at::Tensor head = positions(heads.begin, heads.size(), device).view({1, -1, 1, 1});
  const at::Tensor query = positions(0, queries, device).view({1, 1, -1, 1});
  const at::Tensor index = ((row * num_heads + head) * queries + query) * keys + positions(0, keys, device);
  return apply_mask(probabilities, index, options);
}

}  // namespace galvatron::nn
