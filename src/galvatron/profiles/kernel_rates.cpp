#include "galvatron/profiles/kernel_rates.h"

#include <array>
#include <string_view>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

// Sources and what is made of them: docs/design/cost_model.md, "Data sheets". A product inside a
// training step reaches some 0.9 of what it reaches alone: the device is warm, and others read
// memory beside it.

// Norms, activations and the like in training frameworks: 0.75 of an A100's bandwidth, 0.67 of a
// B200's (SimuMax, configs/system, both measured). The others are taken to be as an A100.
constexpr double kMemory = 0.75, kBlackwellMemory = 0.67;

// 0.72 of 312 TFLOP/s (at a matmul_efficiency of 0.6) in large products. Measured: 0.70 to 0.76 in
// 150 products of a training step on an A100 PCIe (SimuMax), 0.83 alone on an SXM one. Attention:
// 0.55 forward, 0.46 backward; there 0.58 and 0.49 over 4096 tokens.
constexpr KernelRates kAmpere{1.2, 0.92, 0.77, 64, 150, 0, 0, kMemory};

// 0.70 of 989 TFLOP/s (0.55): cuBLAS alone reaches 0.73 in 4096 x 4096 x 4096 and 0.77 in 8192
// cubed; short sides cost what they do in tilelang's sweep of an H800. Attention is torch's own
// kernel, a FlashAttention-2 that reaches 0.81 of Dao's (pytorch/benchmark #2296): 0.28 and 0.27 of
// the peak, causal, head size 128. Dao's grows with the keys as FlashAttention-3's authors show.
constexpr KernelRates kHopper{1.27, 0.51, 0.49, 100, 190, 0, 0, kMemory};

// 0.495 of 2250 TFLOP/s (0.55): SimuMax's B200 system, measured product by product: 0.45 to 0.65,
// 0.49 on average, 0.32 where a side is 512. Attention there, 4096 tokens, causal half counted:
// forward 0.16 with 8 heads, 0.29 with 16, 0.44 with 64, 0.50 with 128; backward 0.33 to 0.42.
constexpr KernelRates kBlackwell{0.9, 1, 0.78, 128, 150, 73'000, 8'500, kBlackwellMemory};

// 0.76 of 125 TFLOP/s (0.5): cuBLAS alone reaches 101 of a V100 PCIe's 112 in 8192 cubed. torch has
// no flash kernel for Volta and Turing: its rate is a guess.
constexpr KernelRates kVolta{1.52, 0.5, 0.4, 64, 150, 0, 0, kMemory};

// Best products alone: 0.70 (L40S) to 0.76 (L4, RTX 6000 Ada) of the peak, 1.08 of a RTX 4090's;
// 0.58 of an MI300X's (mag-/gpu_benchmark). Attention: as the others.
constexpr KernelRates kAda{1.3, 0.75, 0.6, 64, 150, 0, 0, kMemory};
constexpr KernelRates kCdna3{1.3, 0.75, 0.6, 64, 150, 0, 0, kMemory};

// No measurements of kernels are known.
constexpr KernelRates kOther{1.1, 0.75, 0.6, 64, 150, 0, 0, kMemory};

struct Generation {
  KernelRates rates;
  std::array<std::string_view, 7> names;  // as plain_name() writes them
};
constexpr std::array<Generation, 6> kGenerations = {{
    {kBlackwell, {"b200", "b300", "b100"}},
    {kHopper, {"h100", "h200", "h20", "h800"}},
    {kAmpere, {"a100", "a800", "a6000", "nvidiaa10", "nvidiaa30", "nvidiaa40", "rtx3090"}},
    {kVolta, {"v100", "teslat4", "titanrtx", "rtx2080"}},
    {kAda, {"nvidial4", "l40s", "rtx4090", "rtx6000ada"}},
    {kCdna3, {"mi300"}},
}};

}  // namespace

KernelRates kernel_rates(const std::string& device) {
  const std::string plain = plain_name(device);
  for (const Generation& generation : kGenerations) {
    for (const std::string_view name : generation.names) {
      if (!name.empty() && plain.find(name) != std::string::npos) return generation.rates;
    }
  }
  return kOther;
}

}  // namespace galvatron::profiles
