#include "galvatron/train/optimizer.h"

#include <algorithm>
#include <optional>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {
namespace {

constexpr double kClipEpsilon = 1e-6;  // PyTorch's

// One fused call for a range of every unit: the parameters that decay, or the others.
struct TensorLists {
  std::vector<at::Tensor> values, gradients, first, second, steps;
  std::optional<at::Tensor> gradient_divisor;  // in the same pass

  void add(const AdamW::Moments& moments, std::int64_t begin, std::int64_t count,
           const at::Tensor& step) {
    if (count <= 0) return;
    values.push_back(moments.unit->master().narrow(0, begin, count));
    gradients.push_back(moments.unit->gradient().narrow(0, begin, count));
    first.push_back(moments.first.narrow(0, begin, count));
    second.push_back(moments.second.narrow(0, begin, count));
    steps.push_back(step);
  }

  void update(double learning_rate, double weight_decay, const AdamWOptions& options) {
    if (values.empty()) return;
    at::_fused_adamw_(values, gradients, first, second, {}, steps, learning_rate, options.beta1,
                      options.beta2, weight_decay, options.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false, gradient_divisor);
  }
};

// The fused kernel takes a divisor of gradients, in fp32; fp64 training needs the factor in full.
bool fits_fused_divisor(const std::vector<AdamW::Moments>& moments) {
  return std::all_of(moments.begin(), moments.end(),
                     [](const AdamW::Moments& m) { return m.first.scalar_type() == at::kFloat; });
}

}  // namespace

AdamW::AdamW(const std::vector<runtime::ParamUnit*>& units, const AdamWOptions& options)
    : options_(options) {
  for (runtime::ParamUnit* unit : units) {
    moments_.push_back({unit, at::zeros_like(unit->master()), at::zeros_like(unit->master())});
  }
}

void AdamW::step(double learning_rate, double gradient_factor) {
  at::NoGradGuard no_grad;
  ++num_steps_;
  TensorLists decayed, plain;
  const bool scales = gradient_factor != 1;
  const bool fused = scales && gradient_factor > 0 && fits_fused_divisor(moments_);
  if (fused && !moments_.empty()) {
    decayed.gradient_divisor = plain.gradient_divisor =
        at::full({1}, 1 / gradient_factor, moments_[0].first.options());
  }
  for (const Moments& moments : moments_) {
    const at::Tensor step =
        at::full({}, static_cast<double>(num_steps_), moments.first.options().dtype(at::kFloat));
    if (scales && !fused) moments.unit->gradient().mul_(gradient_factor);
    const std::int64_t boundary = moments.unit->num_decayed(), count = moments.first.numel();
    decayed.add(moments, 0, boundary, step);
    plain.add(moments, boundary, count - boundary, step);
  }
  decayed.update(learning_rate, options_.weight_decay, options_);
  plain.update(learning_rate, 0, options_);
}

double clip_factor(double norm, double max_norm) {
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + kClipEpsilon)) : 1.0;
}

}  // namespace galvatron::train
