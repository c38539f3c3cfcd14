#include "galvatron/cost/step_parts.h"

#include <algorithm>
#include <map>
#include <utility>

namespace galvatron::cost {
namespace {

// Of a step: what is less is rounding.
constexpr double kNothing = 1e-9;

// Adds up the parts of one pipeline rank.
class StepPartsSum {
 public:
  StepPartsSum(const CostInputs& inputs, const plan::Plan& plan, const PlanCost& cost)
      : inputs_(inputs), plan_(plan), cost_(cost) {}

  std::vector<StepPart> parts() {
    for (int layer = 0; layer < static_cast<int>(cost_.layers.size()); ++layer) {
      const LayerRow& row = cost_.layers[static_cast<std::size_t>(layer)];
      if (plan_.pipeline.pp_rank_of_stage(row.stage) == cost_.slowest_rank) add_layer(layer, row);
    }
    for (const int stage : plan_.pipeline.stages_of_rank(cost_.slowest_rank)) {
      add(TimePart::kTransfer, links_of({2, plan_.ranks_per_stage()}),
          cost_.stages[static_cast<std::size_t>(stage)].transfers * cost_.border_waits);
    }
    add(TimePart::kBubble, LinkKind::kNone, cost_.bubble);
    std::vector<StepPart> out;
    for (const auto& [key, time] : sums_) {
      if (time.value > kNothing * cost_.step_time.value)
        out.push_back({key.first, key.second, time});
    }
    return out;
  }

 private:
  LinkKind links_of(const plan::RankLine& line) const {
    return inputs_.hardware.crosses_nodes({line.size, line.stride}) ? LinkKind::kBetweenNodes
                                                                    : LinkKind::kInsideNode;
  }

  // The slowest that any of the units' lines uses.
  LinkKind links_of(const std::vector<plan::UnitSpec>& units,
                    plan::RankLine plan::UnitSpec::* line) const {
    LinkKind out = LinkKind::kInsideNode;
    for (const plan::UnitSpec& unit : units) out = std::max(out, links_of(unit.*line));
    return out;
  }

  void add(TimePart part, LinkKind links, Milliseconds time) { sums_[{part, links}] += time; }

  void add_layer(int layer, const LayerRow& row) {
    const double m = plan_.num_microbatches;
    const LayerTime& time = row.time;
    const plan::RankLayout layout = plan_.layout(layer);
    const auto units = plan::param_units(inputs_.model, plan_, layer);
    const PhaseTime both = PhaseTime(time.forward) += time.backward;
    add(TimePart::kCompute, LinkKind::kNone, m * (both.compute - time.recompute));
    add(TimePart::kRecompute, LinkKind::kNone, m * time.recompute);
    add(TimePart::kOptimizer, LinkKind::kNone, time.optimizer);
    add(TimePart::kTp, links_of(layout.tp_line()), m * time.tp);
    add(TimePart::kUlysses, links_of(layout.ulysses_line()), m * (both.inside.total() - time.tp));
    add(TimePart::kZero, links_of(units, &plan::UnitSpec::shards),
        m * (both.exposed - both.inside.total()));
    add(TimePart::kGradients, links_of(units, &plan::UnitSpec::replicas),
        time.gradient_sync.exposed);
    add(TimePart::kParameters, links_of(units, &plan::UnitSpec::shards), time.parameter_gather);
    add(TimePart::kLayoutChange, links_of({plan_.ranks_per_stage(), 1}), m * row.transition);
  }

  const CostInputs& inputs_;
  const plan::Plan& plan_;
  const PlanCost& cost_;
  std::map<std::pair<TimePart, LinkKind>, Milliseconds> sums_;
};

}  // namespace

std::vector<StepPart> step_parts(const CostInputs& inputs, const plan::Plan& plan,
                                 const PlanCost& cost) {
  return StepPartsSum(inputs, plan, cost).parts();
}

std::string name_of(const StepPart& part) {
  const std::string name = enum_text(part.part);
  return part.links == LinkKind::kNone ? name : name + " " + enum_text(part.links);
}

}  // namespace galvatron::cost
