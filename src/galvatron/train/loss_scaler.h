// Dynamic loss scaling for fp16 (Micikevicius et al. 2018): the loss is multiplied so that small
// gradients do not vanish; a step whose gradients overflow is left out and the scale halved; after
// a run of good steps it doubles.
#pragma once
#include <cstdint>

namespace galvatron::train {

struct LossScalerOptions {
  bool enabled = false;    // false: the scale is 1 and every step counts
  double initial = 65536;  // 2^16
  double growth = 2;
  double backoff = 0.5;
  std::int64_t growth_interval = 2000;  // good steps in a row
  double min = 1;
  double max = 4294967296;  // 2^32
};

class LossScaler {
 public:
  struct State {
    double scale = 1;
    std::int64_t good_steps = 0;  // since the last change of the scale
  };

  explicit LossScaler(const LossScalerOptions& options);

  bool enabled() const { return options_.enabled; }
  double scale() const { return state_.scale; }
  // No smaller one is left to try.
  bool at_smallest() const { return !options_.enabled || state_.scale <= options_.min; }
  // After the gradients' norm is known, equal on every rank: false when the step must be left out.
  bool update(double grad_norm);

  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  LossScalerOptions options_;
  State state_;
};

}  // namespace galvatron::train
