#include "galvatron/train/optimizers/optimizer.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {
namespace {

constexpr double kClipEpsilon = 1e-6;  // PyTorch's

// Elements [begin, end) of the slot's local part that are `part` of its parameter. REQUIRES: the
// part is all of it, or rows.
std::vector<Range> elements_of(const runtime::ParamSlot& slot, const ParamGroups::Part& part) {
  const spec::ParamSpec& spec = *slot.spec;
  const auto dim = static_cast<std::size_t>(std::max(spec.split.dim, 0));
  if (part.range == Range{0, spec.shape[dim]}) return {{0, slot.numel}};
  GALV_CHECK(dim == 0, slot.full_name, " is one parameter of several groups");
  const std::int64_t row = spec.numel() / spec.shape[0];
  std::vector<Range> out;
  std::int64_t before = 0;
  for (const Range& range : slot.ranges) {
    const Range held = intersect(range, part.range);
    const std::int64_t shift = before - range.begin;
    if (!held.empty()) out.push_back({(held.begin + shift) * row, (held.end + shift) * row});
    before += range.size();
  }
  return out;
}

}  // namespace

Optimizer::Optimizer(const std::vector<runtime::ParamUnit*>& units,
                     const spec::OptimizerChoice& choice)
    : choice_(choice) {
  for (runtime::ParamUnit* unit : units) {
    UnitStates entry{unit, {}, {}};
    for (const std::string& name : spec().states)
      entry.states.push_back(at::zeros({held_of(*unit, name).size()}, unit->master().options()));
    entry.spans = spans_of(*unit);
    units_.push_back(std::move(entry));
  }
}

void Optimizer::set_groups(ParamGroups groups) {
  groups_ = std::move(groups);
  for (UnitStates& entry : units_) entry.spans = spans_of(*entry.unit);
}

// What decays comes first in a unit; parts of groups lie anywhere in both.
std::vector<Optimizer::Span> Optimizer::spans_of(const runtime::ParamUnit& unit) const {
  const std::int64_t border = unit.num_decayed(), size = unit.owned().size(),
                     matrices = spec().takes_matrices ? unit.num_of_matrices() : 0;
  std::vector<Span> marked;
  for (const runtime::ParamSlot& slot : unit.slots()) {
    for (const ParamGroups::Part& part : groups_.parts(slot.full_name)) {
      for (const Range& local : elements_of(slot, part)) {
        const Range flat{slot.offset + local.begin, slot.offset + local.end};
        const Range held = intersect(flat, unit.owned());
        if (held.empty()) continue;
        const std::int64_t shift = unit.owned().begin;
        marked.push_back({{held.begin - shift, held.end - shift}, part.group});
      }
    }
  }
  std::sort(marked.begin(), marked.end(),
            [](const Span& a, const Span& b) { return a.elements.begin < b.elements.begin; });
  std::vector<Span> out;
  const auto add = [&](Range elements, int group) {
    const std::array<Span, 3> kinds{Span{{0, matrices}, group, true, true},
                                    Span{{matrices, border}, group, true, false},
                                    Span{{border, size}, group, false, false}};
    for (const Span& kind : kinds) {
      const Range side = intersect(elements, kind.elements);
      if (side.empty()) continue;
      const bool goes_on = !out.empty() && out.back().group == group &&
                           out.back().decays == kind.decays &&
                           out.back().is_matrix == kind.is_matrix;
      if (goes_on) {
        out.back().elements.end = side.end;
      } else {
        out.push_back({side, group, kind.decays, kind.is_matrix});
      }
    }
  };
  std::int64_t done = 0;
  for (const Span& span : marked) {
    add({done, span.elements.begin}, kNoGroup);
    add(span.elements, span.group);
    done = span.elements.end;
  }
  add({done, size}, kNoGroup);
  return out;
}

bool Optimizer::is_frozen(const Span& span) const {
  return span.group != kNoGroup && groups_.group(span.group).frozen;
}

void Optimizer::drop_frozen_gradients() {
  const at::NoGradGuard no_grad;
  for (const UnitStates& entry : units_) {
    for (const Span& span : entry.spans) {
      if (!is_frozen(span)) continue;
      entry.unit->gradient().slice(0, span.elements.begin, span.elements.end).zero_();
    }
  }
}

void Optimizer::step(double learning_rate, double gradient_factor) {
  const at::NoGradGuard no_grad;
  ++num_steps_;
  std::map<std::pair<int, bool>, UpdateGroup> groups;
  std::map<std::pair<int, bool>, double> rates;
  const bool scales = gradient_factor != 1;
  const bool fused = scales && gradient_factor > 0 && fits_fused_divisor();
  std::optional<at::Tensor> divisor;
  if (fused && !units_.empty())
    divisor = at::full({1}, 1 / gradient_factor, units_[0].unit->master().options());
  for (UnitStates& entry : units_) {
    if (scales && (!fused || spec().factors)) entry.unit->gradient().mul_(gradient_factor);
    if (spec().factors) {
      update_unit(*entry.unit, entry.states[2], unit_spans(entry, learning_rate));
      continue;
    }
    for (const Span& span : entry.spans) {
      if (is_frozen(span) || span.is_matrix) continue;
      UpdateGroup& group = groups[{span.group, span.decays}];
      group.decays = span.decays;
      group.own_decay = own_decay_of(span);
      group.gradient_divisor = divisor;
      rates[{span.group, span.decays}] = rate_of(span, learning_rate);
      add_range(group, entry, span.elements);
    }
  }
  for (auto& [key, group] : groups) update(group, rates[key]);
  if (!spec().takes_matrices) return;
  for (UnitStates& entry : units_)
    update_matrices_of(entry, learning_rate, fused ? gradient_factor : 1);
}

double Optimizer::rate_of(const Span& span, double learning_rate) const {
  return span.group == kNoGroup ? learning_rate
                                : learning_rate * groups_.group(span.group).lr_scale;
}

std::optional<double> Optimizer::own_decay_of(const Span& span) const {
  return span.group == kNoGroup ? std::nullopt : groups_.group(span.group).weight_decay;
}

// Every rank that shares the unit takes part, also one that owns no element of a matrix.
void Optimizer::update_matrices_of(UnitStates& entry, double learning_rate,
                                   double gradient_factor) {
  const auto& slots = entry.unit->slots();
  if (std::none_of(slots.begin(), slots.end(), [](const auto& slot) { return slot.is_matrix; }))
    return;
  at::Tensor gradient = entry.unit->gradient().narrow(0, 0, entry.unit->num_of_matrices());
  if (gradient_factor != 1) gradient.mul_(gradient_factor);
  update_matrices(*entry.unit, entry.states[0], unit_spans(entry, learning_rate));
}

// Of matrices, or of all where there are none for themselves; without what is frozen.
std::vector<Optimizer::UnitSpan> Optimizer::unit_spans(const UnitStates& entry,
                                                       double learning_rate) const {
  std::vector<UnitSpan> out;
  for (const Span& span : entry.spans) {
    if (span.is_matrix != spec().takes_matrices || is_frozen(span)) continue;
    const double usual = span.decays ? option("weight_decay") : vector_decay_;
    out.push_back(
        {span.elements, rate_of(span, learning_rate), own_decay_of(span).value_or(usual)});
  }
  return out;
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

Bytes Optimizer::state_bytes() const {
  Bytes out;
  const auto add = [&out](const at::Tensor& state) {
    if (state.defined()) out += {static_cast<std::int64_t>(state.nbytes())};
  };
  for (const UnitStates& entry : units_) {
    for (const at::Tensor& state : entry.states) add(state);
    for (int slot = 0; slot < static_cast<int>(entry.unit->slots().size()); ++slot) {
      for (const std::string& name : spec().states) add(whole_state(*entry.unit, slot, name));
    }
  }
  return out;
}

Range Optimizer::held_of(const runtime::ParamUnit& unit, const std::string& name) const {
  Range out = unit.owned();
  if (spec().factors) {
    const bool of_vectors = name == spec().states[2];
    return {of_vectors ? out.begin + unit.num_decayed() : out.end, out.end};
  }
  if (!spec().keeps(name, /*of_matrix=*/true)) out.begin += unit.num_of_matrices();
  return out;
}

double Optimizer::weight_decay(const UpdateGroup& group) const {
  if (group.own_decay) return *group.own_decay;
  return group.decays ? option("weight_decay") : vector_decay_;
}

void Optimizer::add_range(UpdateGroup& group, const UnitStates& entry, Range elements) const {
  const auto part = [&](const at::Tensor& owned) {
    return owned.slice(0, elements.begin, elements.end);
  };
  group.weights.push_back(part(entry.unit->master()));
  group.gradients.push_back(part(entry.unit->gradient()));
  group.states.resize(entry.states.size());
  for (std::size_t i = 0; i < entry.states.size(); ++i) {
    const std::int64_t left_out = entry.unit->owned().size() - entry.states[i].numel();
    group.states[i].push_back(
        entry.states[i].slice(0, elements.begin - left_out, elements.end - left_out));
  }
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
