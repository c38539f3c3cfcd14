// AdamW over the owned parts of a rank's parameter units.
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/runtime/param_unit.h"

namespace galvatron::train {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  // decoupled; only of parameters that decay (matrices and embeddings)
};

// Decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
class AdamW {
 public:
  // The moments of one unit, one-dimensional like ParamUnit::master().
  struct Moments {
    runtime::ParamUnit* unit = nullptr;
    at::Tensor first, second;
  };

  AdamW(const std::vector<runtime::ParamUnit*>& units, const AdamWOptions& options);

  // Multiplies the gradients by `gradient_factor` (clipping and loss scale in one), then updates
  // the master weights. Follow with Engine::publish().
  void step(double learning_rate, double gradient_factor = 1);

  std::int64_t num_steps() const { return num_steps_; }
  void set_num_steps(std::int64_t steps) { num_steps_ = steps; }
  std::vector<Moments>& moments() { return moments_; }

 private:
  AdamWOptions options_;
  std::vector<Moments> moments_;
  std::int64_t num_steps_ = 0;
};

// Factor that brings a gradient of norm `norm` to at most `max_norm`: min(1, max_norm / (norm +
// 1e-6)), PyTorch's clip_grad_norm_. 1 for max_norm <= 0.
double clip_factor(double norm, double max_norm);

}  // namespace galvatron::train
