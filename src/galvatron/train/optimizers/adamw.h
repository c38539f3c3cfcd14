// Decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
#pragma once
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::train {

// The first two states are the moments; the options beta1, beta2, adam_eps.
class AdamW : public Optimizer {
 public:
  using Optimizer::Optimizer;
  void update(UpdateGroup& group, double learning_rate) override;
};

}  // namespace galvatron::train
