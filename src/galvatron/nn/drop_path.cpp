#include "galvatron/nn/drop_path.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/counter_random.h"

namespace galvatron::nn {

at::Tensor drop_path(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call) {
  if (!options.active(call) || x_BSH.numel() == 0) return x_BSH;
  const at::Tensor samples =
      at::arange(call.first_sample, call.first_sample + x_BSH.size(0),
                 at::TensorOptions().dtype(at::kLong).device(x_BSH.device()));
  const at::Tensor keep = keep_mask(samples, options.key, options.p).view({-1, 1, 1});
  // The scale is a scalar: a product with a tensor would round it to the activation's type first.
  return (x_BSH * keep.to(x_BSH.scalar_type())).mul(1 / (1 - options.p));
}

}  // namespace galvatron::nn
