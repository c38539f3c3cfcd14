// Stochastic gradient descent with heavy-ball momentum, as torch.optim.SGD computes it: weight
// decay is part of the gradient, and the first step's momentum is its gradient.
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::train {
namespace {

class Sgd : public Optimizer {
 public:
  using Optimizer::Optimizer;

  void update(UpdateGroup& group, double learning_rate) override {
    const double momentum = option("momentum");
    std::vector<at::Tensor> buffers;  // the kernel refuses any where there is no momentum
    if (momentum > 0) buffers = group.states[0];
    // From a buffer of zeros and without dampening the first step is like all others.
    at::_fused_sgd_(group.weights, group.gradients, buffers, weight_decay(group), momentum,
                    learning_rate, /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false,
                    /*is_first_step=*/false, group.gradient_divisor);
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const std::vector<runtime::ParamUnit*>& units,
                                    const spec::OptimizerChoice& choice) {
  return std::make_unique<Sgd>(units, choice);
}

}  // namespace galvatron::train
