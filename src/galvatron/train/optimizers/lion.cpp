// The sign of a momentum as the direction (Chen et al. 2023, arXiv:2302.06675, algorithm 2):
//   c = beta1 m + (1 - beta1) g;  w = (1 - lr decay) w - lr sign(c);  m = beta2 m + (1 - beta2) g
#include <algorithm>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/optimizers/elementwise.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::train {
namespace {

class Lion : public Optimizer {
 public:
  using Optimizer::Optimizer;

  void update(UpdateGroup& group, double learning_rate) override {
    for (std::size_t i = 0; i < group.weights.size(); ++i) {
      const std::int64_t size = group.weights[i].numel();
      for (std::int64_t begin = 0; begin < size; begin += kElementsAtOnce) {
        const auto part = [&](const at::Tensor& whole) {
          return whole.slice(0, begin, std::min(begin + kElementsAtOnce, size));
        };
        at::Tensor gradient = part(group.gradients[i]);
        if (group.gradient_divisor) gradient.div_(*group.gradient_divisor);
        update_part(part(group.weights[i]), gradient, part(group.states[0][i]), learning_rate,
                    weight_decay(group));
      }
    }
  }

 private:
  void update_part(at::Tensor weights, const at::Tensor& gradient, at::Tensor momentum,
                   double learning_rate, double decay) const {
    const double beta1 = option("beta1"), beta2 = option("beta2");
    at::Tensor direction = (momentum * beta1).add_(gradient, 1 - beta1);
    drop_cancelled(direction);
    direction.sign_();
    weights.mul_(1 - learning_rate * decay).add_(direction, -learning_rate);
    momentum.mul_(beta2).add_(gradient, 1 - beta2);
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_lion(const std::vector<runtime::ParamUnit*>& units,
                                     const spec::OptimizerChoice& choice) {
  return std::make_unique<Lion>(units, choice);
}

}  // namespace galvatron::train
