// Attention with all that no fused kernel has, a block of queries at a time: nothing of [queries,
// keys] is kept, and no more of it exists than a block. Forward and backward are written out after
// Dao et al. 2022 (FlashAttention), over torch's products.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/attention_core.h"

namespace galvatron::nn {

// As attend(), of whole batches. `hidden_B1QK`: bool, true where a query does not see a key, or
// undefined; no row is all true.
at::Tensor blocked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const at::Tensor& bias, const at::Tensor& hidden_B1QK,
                             const AttentionCore& core, const LayerCall& call);

}  // namespace galvatron::nn
