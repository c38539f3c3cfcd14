// Token embedding with the vocabulary divided over the tensor-parallel ranks.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/layer.h"

namespace galvatron::nn {

// tokens [B, T] of the tensor-parallel region; `weight` holds the rows [first_row, first_row +
// rows) of the vocabulary. Result [B, S, H] at the border. Backward: only rows of this rank receive
// gradient, and not the row of `padding_token`
// (-1: there is none).
at::Tensor vocab_parallel_embedding(const at::Tensor& tokens_BT, const at::Tensor& weight,
                                    std::int64_t first_row, const LayerGroups& groups,
                                    const LayerCall& call, std::int64_t padding_token = -1);

}  // namespace galvatron::nn
