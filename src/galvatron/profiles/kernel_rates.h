// How fast the kernels of a Transformer run on a generation of devices, as far as shapes decide:
// one set for each generation, from published measurements of kernels (kernel_rates.cpp names them;
// docs/design/cost_model.md, "Data sheets").
#pragma once
#include <string>

namespace galvatron::profiles {

struct KernelRates {
  // Shares of the peak, as multiples of the device's matmul_efficiency, so that whoever knows that
  // his devices are faster or slower than others scales all of them.
  double matmul = 1;              // large products
  double attention_forward = 1;   // fused kernel over long sequences, causal half counted
  double attention_backward = 1;  // likewise, of 2.5 times the forward's FLOPs
  // A product of sides m, n, k takes (1 + half / m) (1 + half / n) (1 + half / k) times as long as
  // its FLOPs say: one short side of this length halves the rate.
  double matmul_half = 0;
  // Keys of a query, and heads times tokens of a call, at which the fused kernel runs at half: a
  // forward, and a backward.
  double attention_half_keys = 0;
  double attention_half_tokens = 0, attention_half_tokens_backward = 0;
  double memory = 1;  // share of the memory bandwidth that element-wise kernels reach

  bool operator==(const KernelRates&) const = default;
};

// By the name of the device ("NVIDIA H100 80GB SXM", "A100-40G"); those of no generation that is
// known get what the known ones have in common.
KernelRates kernel_rates(const std::string& device);

}  // namespace galvatron::profiles
