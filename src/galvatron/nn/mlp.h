// The feed-forward half of a Transformer block, divided over its intermediate dimension.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

enum class ActivationKind { kGelu, kGeluTanh, kRelu, kSilu };

struct MlpOptions {
  ActivationKind activation = ActivationKind::kGeluTanh;
  bool gated = false;  // act(gate) * up, with gate and up the halves of one weight
  std::int64_t inner_size =
      0;            // of the model, not of this rank; addresses the masks of the dropout
  Dropout dropout;  // of what the down projection reads
  LinearPrecision linears = LinearPrecision::kCompute;
};

struct MlpParams {
  at::Tensor up_weight;    // [i, H]; gated: [2i, H], gate first
  at::Tensor up_bias;      // may be undefined
  at::Tensor down_weight;  // [H, i]
  at::Tensor down_bias;    // may be undefined
};

at::Tensor activate(const at::Tensor& x, ActivationKind kind);

// x and the result: [B, S, H] at the layer's border.
at::Tensor mlp(const at::Tensor& x_BSH, const MlpParams& params, const MlpOptions& options,
               const LayerGroups& groups, const LayerCall& call);

}  // namespace galvatron::nn
