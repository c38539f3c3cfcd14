#include "galvatron/profiles/kernel_rates.h"

#include <array>
#include <string_view>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

// SimuMax (github.com/MooreThreads/SimuMax, configs/system): 0.85 of an H100's bandwidth.
constexpr double kMemory = 0.85;

// 0.72 of 312 TFLOP/s (at a matmul_efficiency of 0.6) in large products: SimuMax's A100 system has
// 0.75. Attention: 0.55 forward, 0.46 backward; FlashAttention-2 (Dao 2023) reaches 0.50 to 0.73.
constexpr KernelRates kAmpere{1.2, 0.92, 0.77, 64, 150, 0, kMemory};

// 0.63 of 989 TFLOP/s (0.55): SimuMax's H100 system has 0.70 for products alone. Attention is
// FlashAttention-2's, which torch runs, in the benchmarks of FlashAttention-3 (Shah et al. 2024),
// head size 128: forward, causal, 191 TFLOP/s at 512 tokens and 335 at 16k; backward 214 and 322.
constexpr KernelRates kHopper{1.15, 0.62, 0.55, 64, 190, 0, kMemory};

// 0.495 of 2250 TFLOP/s (0.55): SimuMax's B200 system, measured product by product: 0.45 to 0.65,
// 0.49 on average, 0.32 where a side is 512. Attention there, 4096 tokens, causal half counted:
// forward 0.16 with 8 heads, 0.29 with 16, 0.43 with 64, 0.50 with 128; backward 0.33 to 0.42.
constexpr KernelRates kBlackwell{0.9, 0.91, 0.73, 128, 150, 40'000, kMemory};

// No measurements of kernels are known. torch has no flash kernel for Volta and Turing; products
// are taken to be as near to the peak as Ampere's. Others: between the above.
constexpr KernelRates kVolta{1.2, 0.5, 0.4, 64, 150, 0, kMemory};
constexpr KernelRates kOther{1.1, 0.75, 0.6, 64, 150, 0, kMemory};

struct Generation {
  KernelRates rates;
  std::array<std::string_view, 7> names;  // as plain_name() writes them
};
constexpr std::array<Generation, 4> kGenerations = {{
    {kBlackwell, {"b200", "b300", "b100"}},
    {kHopper, {"h100", "h200", "h20", "h800"}},
    {kAmpere, {"a100", "a800", "a6000", "nvidiaa10", "nvidiaa30", "nvidiaa40", "rtx3090"}},
    {kVolta, {"v100", "teslat4", "titanrtx", "rtx2080"}},
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
