#include "galvatron/train/optimizers/adamw.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {

void AdamW::update(UpdateGroup& group, double learning_rate) {
  const at::Tensor step =
      at::full({}, static_cast<double>(num_steps()), group.weights[0].options().dtype(at::kFloat));
  const std::vector<at::Tensor> steps(group.weights.size(), step);
  at::_fused_adamw_(group.weights, group.gradients, group.states[0], group.states[1], {}, steps,
                    learning_rate, option("beta1"), option("beta2"), weight_decay(group),
                    option("adam_eps"), /*amsgrad=*/false, /*maximize=*/false,
                    group.gradient_divisor);
}

std::unique_ptr<Optimizer> make_adamw(const std::vector<runtime::ParamUnit*>& units,
                                      const spec::OptimizerChoice& choice) {
  return std::make_unique<AdamW>(units, choice);
}

}  // namespace galvatron::train
