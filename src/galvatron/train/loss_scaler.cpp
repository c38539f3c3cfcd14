#include "galvatron/train/loss_scaler.h"

#include <algorithm>
#include <cmath>

namespace galvatron::train {

LossScaler::LossScaler(const LossScalerOptions& options)
    : options_(options), state_{options.enabled ? options.initial : 1, 0} {}

bool LossScaler::update(double grad_norm) {
  if (!options_.enabled) return true;
  if (!std::isfinite(grad_norm)) {
    state_ = {std::max(state_.scale * options_.backoff, options_.min), 0};
    return false;
  }
  if (++state_.good_steps >= options_.growth_interval) {
    state_ = {std::min(state_.scale * options_.growth, options_.max), 0};
  }
  return true;
}

}  // namespace galvatron::train
