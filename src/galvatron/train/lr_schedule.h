// Learning rate of each step: a linear warm-up, then one of five shapes; and the weight decay of
// each step. Pure arithmetic.
//
// With s the step (0, 1, ...), W warm-up steps, N steps in all, D decay steps, and rates `peak` and
// `min`:
//
//   s < W               peak * (s + 1) / W
//   constant            peak
//   linear              min + (peak - min) * (1 - p)              p = (s - W) / (N - W)
//   cosine              min + (peak - min) * (1 + cos(pi p)) / 2
//   inverse_sqrt        peak * sqrt(T / (s - W + T)), at least min; T = W, or 10000 without warm-up
//   wsd, s < N - D      peak                                      (warm-up, stable, decay; Hu et
//   wsd, else           min + (peak - min) * tail(q)              al. 2024)  q = (s - N + D) / D
//
// with the tails 1 - q (linear), (1 + cos(pi q)) / 2 (cosine) and 1 - sqrt(q) (1-sqrt; Haegele et
// al. 2024). So all but inverse_sqrt would reach `min` at s = N, one step after the last.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/enum_names.h"

namespace galvatron::train {

enum class LrShape { kConstant, kLinear, kCosine, kWsd, kInverseSqrt };

constexpr EnumNames<5> names_of(LrShape) {
  return {"train", {"constant", "linear", "cosine", "wsd", "inverse_sqrt"}};
}

enum class LrTail { kLinear, kCosine, kOneMinusSqrt };

constexpr EnumNames<3> names_of(LrTail) { return {"train", {"linear", "cosine", "1-sqrt"}}; }

inline std::string to_text(LrShape shape) { return enum_text(shape); }
LrShape parse_lr_shape(const std::string& text);  // ConfigError
inline const std::vector<std::string>& lr_shape_names() { return enum_names<LrShape>(); }

struct LrScheduleOptions {
  LrShape shape = LrShape::kCosine;
  double peak = 3e-4;
  double min = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t decay_steps = 0;   // of kWsd; 0 means a fifth of all steps, rounded up
  LrTail tail = LrTail::kLinear;  // of kWsd
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

// Weight decay of step s, Megatron-LM's: from `start` to `end`, as
//   constant   start
//   linear     start + (end - start) * p                     p = s / N
//   cosine     start + (end - start) * (1 - cos(pi p)) / 2
enum class DecayShape { kConstant, kLinear, kCosine };

constexpr EnumNames<3> names_of(DecayShape) { return {"train", {"constant", "linear", "cosine"}}; }

struct DecayScheduleOptions {
  DecayShape shape = DecayShape::kConstant;
  std::optional<double> end;
};

class DecaySchedule {
 public:
  // ConfigError where the shape needs an end and has none, or has one and needs none.
  DecaySchedule(const DecayScheduleOptions& options, double start, std::int64_t num_steps);

  double at(std::int64_t step) const;
  bool is_constant() const { return options_.shape == DecayShape::kConstant; }

 private:
  DecayScheduleOptions options_;
  double start_;
  std::int64_t num_steps_;
};

}  // namespace galvatron::train
