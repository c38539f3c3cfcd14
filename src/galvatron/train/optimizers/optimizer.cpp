#include "galvatron/train/optimizers/optimizer.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {
namespace {

constexpr double kClipEpsilon = 1e-6;  // PyTorch's

}  // namespace

Optimizer::Optimizer(const std::vector<runtime::ParamUnit*>& units,
                     const spec::OptimizerChoice& choice)
    : choice_(choice) {
  for (runtime::ParamUnit* unit : units) {
    UnitStates entry{unit, {}};
    for (std::size_t i = 0; i < spec().states.size(); ++i)
      entry.states.push_back(at::zeros_like(unit->master()));
    units_.push_back(std::move(entry));
  }
}

void Optimizer::step(double learning_rate, double gradient_factor) {
  const at::NoGradGuard no_grad;
  ++num_steps_;
  UpdateGroup decayed, plain;
  decayed.decays = true;
  const bool scales = gradient_factor != 1;
  const bool fused = scales && gradient_factor > 0 && fits_fused_divisor();
  if (fused && !units_.empty()) {
    decayed.gradient_divisor = plain.gradient_divisor =
        at::full({1}, 1 / gradient_factor, units_[0].unit->master().options());
  }
  for (const UnitStates& entry : units_) {
    if (scales && !fused) entry.unit->gradient().mul_(gradient_factor);
    add_range(decayed, entry, 0, entry.unit->num_decayed());
    add_range(plain, entry, entry.unit->num_decayed(), entry.unit->master().numel());
  }
  for (UpdateGroup* group : {&decayed, &plain}) {
    if (!group->weights.empty()) update(*group, learning_rate);
  }
}

at::Tensor& Optimizer::state(const runtime::ParamUnit& unit, const std::string& name) {
  const auto entry = std::find_if(units_.begin(), units_.end(),
                                  [&](const UnitStates& other) { return other.unit == &unit; });
  const auto& names = spec().states;
  const auto index = std::find(names.begin(), names.end(), name) - names.begin();
  GALV_CHECK(entry != units_.end() && static_cast<std::size_t>(index) < names.size(), spec().name,
             " keeps no ", name, " of ", unit.name());
  return entry->states[static_cast<std::size_t>(index)];
}

double Optimizer::weight_decay(const UpdateGroup& group) const {
  return group.decays ? option("weight_decay") : vector_decay_;
}

void Optimizer::add_range(UpdateGroup& group, const UnitStates& entry, std::int64_t begin,
                          std::int64_t end) const {
  if (begin >= end) return;
  group.weights.push_back(entry.unit->master().slice(0, begin, end));
  group.gradients.push_back(entry.unit->gradient().slice(0, begin, end));
  group.states.resize(entry.states.size());
  for (std::size_t i = 0; i < entry.states.size(); ++i)
    group.states[i].push_back(entry.states[i].slice(0, begin, end));
}

// Fused kernels take a divisor of gradients, in fp32; fp64 training needs the factor in full.
bool Optimizer::fits_fused_divisor() const {
  return std::all_of(units_.begin(), units_.end(), [](const UnitStates& entry) {
    return entry.unit->master().scalar_type() == at::kFloat;
  });
}

double clip_factor(double norm, double max_norm) {
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + kClipEpsilon)) : 1.0;
}

}  // namespace galvatron::train
