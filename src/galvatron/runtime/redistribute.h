// Moves activations between two ways of spreading a microbatch over the ranks of a stage.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/comm/group.h"
#include "galvatron/plan/rank_layout.h"

namespace galvatron::runtime {

// x [B, S, F] is this rank's rectangle under `from`; the result is its rectangle under `to`. One
// all-to-all of rectangle intersections; free when the layouts are equal. The backward is the same
// with from and to exchanged.
at::Tensor redistribute(const at::Tensor& x_BSF, const plan::TokenLayout& from,
                        const plan::TokenLayout& to, std::int64_t num_samples,
                        std::int64_t seq_length, const comm::Group& stage);

}  // namespace galvatron::runtime
