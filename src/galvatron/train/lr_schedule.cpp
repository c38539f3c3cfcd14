#include "galvatron/train/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"

namespace galvatron::train {
namespace {

constexpr std::int64_t kDecayShare = 5;  // of all steps, by default
// What the steps of inverse_sqrt are counted in where there is no warm-up; Hugging Face's.
constexpr std::int64_t kTimescale = 10'000;

// From 1 at q = 0 to 0 at q = 1.
double tail_at(LrTail tail, double q) {
  switch (tail) {
    case LrTail::kLinear:
      return 1 - q;
    case LrTail::kCosine:
      return (1 + std::cos(std::numbers::pi * q)) / 2;
    case LrTail::kOneMinusSqrt:
      return 1 - std::sqrt(q);
  }
  GALV_CHECK(false, "unknown tail");
}

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
  if (options_.shape != LrShape::kWsd) {
    if (options_.tail == LrTail::kLinear) return;
    throw ConfigError("[train] the tail ", enum_text(options_.tail),
                      " is of --lr-schedule wsd, not ", to_text(options_.shape),
                      "; leave --decay-shape away");
  }
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
    case LrShape::kInverseSqrt: {
      const std::int64_t timescale = warmup > 0 ? warmup : kTimescale;
      const double share =
          static_cast<double>(timescale) / static_cast<double>(s - warmup + timescale);
      return std::max(options_.min, peak * std::sqrt(share));
    }
    case LrShape::kWsd:
      break;
  }
  const std::int64_t begun = s - (num_steps_ - options_.decay_steps);
  if (begun < 0) return peak;
  const double q = static_cast<double>(begun) / static_cast<double>(options_.decay_steps);
  return options_.min + span * tail_at(options_.tail, q);
}

DecaySchedule::DecaySchedule(const DecayScheduleOptions& options, double start,
                             std::int64_t num_steps)
    : options_(options), start_(start), num_steps_(num_steps) {
  if (is_constant() && options_.end) {
    throw ConfigError(
        "[train] an end of the weight decay, ", *options_.end,
        ", needs a way there; give --weight-decay-schedule linear or cosine, or leave "
        "--end-weight-decay away");
  }
  if (!is_constant() && !options_.end) {
    throw ConfigError(
        "[train] the weight decay goes ", enum_text(options_.shape), " from ", start,
        " to nowhere; give --end-weight-decay, or leave --weight-decay-schedule away");
  }
}

double DecaySchedule::at(std::int64_t step) const {
  const double p = static_cast<double>(std::clamp<std::int64_t>(step, 0, num_steps_ - 1)) /
                   static_cast<double>(num_steps_);
  switch (options_.shape) {
    case DecayShape::kConstant:
      return start_;
    case DecayShape::kLinear:
      return start_ + (*options_.end - start_) * p;
    case DecayShape::kCosine:
      return start_ + (*options_.end - start_) * (1 - std::cos(std::numbers::pi * p)) / 2;
  }
  GALV_CHECK(false, "unknown shape of the weight decay");
}

}  // namespace galvatron::train
