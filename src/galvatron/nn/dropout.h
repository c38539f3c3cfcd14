// Dropout whose mask is a function of global positions, so that every plan drops the same elements
// and a recomputed layer drops them again.
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

struct Dropout {
  double p = 0;           // probability of dropping
  std::uint64_t key = 0;  // random_key(seed, "block.3.residual")
  bool active(const LayerCall& call) const { return call.training && p > 0; }
};

// x [B, S, H] at the border of call.sequence.
at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call);
// The same of another stream: `split` is call.context or call.before.
at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call,
                   const SequenceSplit& split);
// x [B, T, f] inside the tensor-parallel region: this rank's `features` of `num_features`.
at::Tensor region_dropout(const at::Tensor& x_BTF, const Dropout& options, const LayerCall& call,
                          Range features, std::int64_t num_features);

// Where a tensor [B, T, F] lies in all of [samples, length, num_features].
struct DropPlaces {
  std::int64_t first_sample = 0;
  std::int64_t first_token = 0, length = 0;
  std::int64_t first_feature = 0, num_features = 0;
};

// True where an element is kept, [B, T, F] like the tensor: what accelerators use in the place of
// counter_random's masks. A sample's numbers are one run of the device's own generator (Philox), of
// which every rank takes its part, so that here too no plan changes them; another device may.
at::Tensor sample_masks(const at::Tensor& like_BTF, const DropPlaces& places,
                        const Dropout& options);

}  // namespace galvatron::nn
