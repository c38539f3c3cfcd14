#include "galvatron/train/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"

namespace galvatron::train {
namespace {

constexpr std::int64_t kDecayShare = 5;  // of all steps, by default

}  // namespace

LrShape parse_lr_shape(const std::string& text) {
  if (const auto shape = find_enum<LrShape>(text)) return *shape;
  throw ConfigError("[train] unknown learning rate schedule '", text, "'",
                    did_you_mean(text, enum_names<LrShape>()));
}

LrSchedule::LrSchedule(const LrScheduleOptions& options, std::int64_t num_steps)
    : options_(options), num_steps_(num_steps) {
  if (num_steps < 1) throw ConfigError("[train] ", num_steps, " steps: at least 1");
  if (options_.min > options_.peak) {
    throw ConfigError("[train] the least learning rate ", options_.min, " is above the highest, ",
                      options_.peak);
  }
  if (options_.warmup_steps < 0 || options_.warmup_steps > num_steps) {
    throw ConfigError("[train] ", options_.warmup_steps, " warm-up steps do not fit into ",
                      num_steps, " steps");
  }
  if (options_.shape != LrShape::kWsd) return;
  if (options_.decay_steps == 0) {
    options_.decay_steps =
        std::min(largest_chunk(num_steps, kDecayShare), num_steps - options_.warmup_steps);
  }
  if (options_.decay_steps < 0 || options_.warmup_steps + options_.decay_steps > num_steps) {
    throw ConfigError("[train] ", options_.warmup_steps, " warm-up and ", options_.decay_steps,
                      " decay steps do not fit into ", num_steps, " steps");
  }
}

double LrSchedule::at(std::int64_t step) const {
  const std::int64_t s = std::clamp<std::int64_t>(step, 0, num_steps_ - 1),
                     warmup = options_.warmup_steps;
  const double peak = options_.peak, span = peak - options_.min;
  if (s < warmup) return peak * static_cast<double>(s + 1) / static_cast<double>(warmup);
  const double progress =
      static_cast<double>(s - warmup) / static_cast<double>(num_steps_ - warmup);
  switch (options_.shape) {
    case LrShape::kConstant:
      return peak;
    case LrShape::kLinear:
      return options_.min + span * (1 - progress);
    case LrShape::kCosine:
      return options_.min + span * (1 + std::cos(std::numbers::pi * progress)) / 2;
    case LrShape::kWsd:
      break;
  }
  const std::int64_t left = num_steps_ - s;
  if (left > options_.decay_steps) return peak;
  return options_.min +
         span * static_cast<double>(left) / static_cast<double>(options_.decay_steps);
}

}  // namespace galvatron::train
