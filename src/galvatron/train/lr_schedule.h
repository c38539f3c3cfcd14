// Learning rate of each step: a linear warm-up, then one of four shapes. Pure arithmetic.
//
// With s the step (0, 1, ...), W warm-up steps, N steps in all, D decay steps, and rates `peak` and
// `min`:
//
//   s < W               peak * (s + 1) / W
//   constant            peak
//   linear              min + (peak - min) * (1 - p)              p = (s - W) / (N - W)
//   cosine              min + (peak - min) * (1 + cos(pi p)) / 2
//   wsd, s < N - D      peak                                      (warm-up, stable, decay; Hu et
//   al. 2024) wsd, else           min + (peak - min) * (N - s) / D
//
// So the rate would reach `min` at s = N, one step after the last.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/enum_names.h"

namespace galvatron::train {

enum class LrShape { kConstant, kLinear, kCosine, kWsd };

constexpr EnumNames<4> names_of(LrShape) {
  return {"train", {"constant", "linear", "cosine", "wsd"}};
}

inline std::string to_text(LrShape shape) { return enum_text(shape); }
LrShape parse_lr_shape(const std::string& text);  // ConfigError
inline const std::vector<std::string>& lr_shape_names() { return enum_names<LrShape>(); }

struct LrScheduleOptions {
  LrShape shape = LrShape::kCosine;
  double peak = 3e-4;
  double min = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t decay_steps = 0;  // of kWsd; 0 means a fifth of all steps, rounded up
};

class LrSchedule {
 public:
  // ConfigError when min is above peak, or warm-up and decay do not fit into `num_steps`.
  LrSchedule(const LrScheduleOptions& options, std::int64_t num_steps);

  // Rate of step `step`; steps behind the last keep the last one's.
  double at(std::int64_t step) const;

 private:
  LrScheduleOptions options_;
  std::int64_t num_steps_;
};

}  // namespace galvatron::train
