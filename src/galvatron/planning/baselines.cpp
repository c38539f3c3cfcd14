#include "galvatron/planning/baselines.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/partition.h"
#include "galvatron/base/table.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/search/found_plan.h"
#include "galvatron/search/interleaved_candidate.h"
#include "galvatron/search/report.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::planning {
namespace {

using plan::Recompute;

// What a baseline leaves to choose beside microbatches and schedule.
struct HandChoice {
  plan::LayerStrategy strategy;
  int pp_degree = 1;
};

std::vector<HandChoice> data_parallel(int zero_stage, Recompute recompute = Recompute::kNone) {
  HandChoice choice;
  choice.strategy.zero_stage = zero_stage;
  choice.strategy.recompute = recompute;
  return {choice};
}

int node_ranks(const cost::CostInputs& inputs) {
  return std::min(inputs.hardware.world_size, inputs.hardware.ranks_per_node);
}

// Can every layer have it on a stage of so many ranks?
bool suits(const cost::CostInputs& inputs, const plan::LayerStrategy& strategy, int ranks) {
  const spec::ModelSpec& model = inputs.model;
  for (int i = 0; i < model.num_layers(); ++i) {
    const spec::LayerSpec& layer = model.layer(i);
    if (plan::check_layer_strategy(plan::fitted(strategy, layer.kind), layer, ranks) ||
        model.shortest_sequence(i, inputs.job.seq_length) < strategy.seq_degree()) {
      return false;
    }
  }
  return true;
}

// TP inside a node, pipelines of whole nodes (Narayanan et al. 2021, takeaway 1).
std::vector<HandChoice> megatron(const cost::CostInputs& inputs) {
  const int world = inputs.hardware.world_size, node = node_ranks(inputs);
  const int num_nodes = world % node == 0 ? world / node : 1;
  std::vector<HandChoice> out;
  for (const std::int64_t pp : divisors(num_nodes)) {
    const auto pp_degree = static_cast<int>(pp);
    if (pp_degree > inputs.model.num_layers()) break;
    for (const std::int64_t tp : divisors(node)) {
      for (const Recompute recompute : enum_values<Recompute>()) {
        HandChoice choice{{}, pp_degree};
        choice.strategy.tp_degree = static_cast<int>(tp);
        choice.strategy.zero_stage = 1;
        choice.strategy.recompute = recompute;
        if (suits(inputs, choice.strategy, world / pp_degree)) out.push_back(choice);
      }
    }
  }
  return out;
}

struct BaselineRule {
  const char* name;
  const char* help;
  std::vector<HandChoice> (*choices)(const cost::CostInputs& inputs);
};

constexpr std::array kRules{
    BaselineRule{"DDP", "Replicated on every rank; microbatches tuned",
                 [](const cost::CostInputs&) { return data_parallel(0); }},
    BaselineRule{"ZeRO-2", "Optimizer states and gradients sharded; microbatches tuned",
                 [](const cost::CostInputs&) { return data_parallel(2); }},
    BaselineRule{"ZeRO-3", "Plain FSDP: parameters sharded too; microbatches tuned",
                 [](const cost::CostInputs&) { return data_parallel(3); }},
    BaselineRule{"ZeRO-3, recompute",
                 "FSDP with every block recomputed in backward; microbatches tuned",
                 [](const cost::CostInputs&) { return data_parallel(3, Recompute::kFull); }},
    BaselineRule{"Megatron",
                 "TP inside a node, pipeline of whole nodes, ZeRO-1; degrees, recompute, "
                 "interleaving and microbatches tuned",
                 &megatron}};

// One plan of a baseline.
struct Trial {
  plan::LayerStrategy strategy;
  cost::PipelineShape shape;
  double step_ms = 0;
  std::int64_t bytes = 0;  // of the fullest device; 0: not known yet
};

// Prices every plan of a baseline: times first, memory in their order until one fits.
class BaselineTuner {
 public:
  BaselineTuner(const cost::CostInputs& inputs, Bytes memory) : inputs_(inputs), memory_(memory) {}

  Baseline tune(const BaselineRule& rule) {
    trials_.clear();
    const std::vector<HandChoice> choices = rule.choices(inputs_);
    for (const HandChoice& choice : choices) add_plain(choice);
    const Trial* fastest = fastest_that_fits();
    const double enough = fastest ? fastest->step_ms : search::kInfinity;
    for (const HandChoice& choice : choices) add_interleaved(choice, enough);
    fastest = fastest_that_fits();
    const Trial& chosen = fastest ? *fastest : leanest();
    Baseline out{rule.name, rule.help, describe(chosen), chosen.strategy, {}};
    out.missing = std::max(out.found.cost.peak_memory() - memory_, Bytes{});
    return out;
  }

 private:
  cost::PipelineShape shape_of(const HandChoice& choice, int num_microbatches) const {
    const int ranks = inputs_.hardware.world_size / choice.pp_degree;
    return {choice.pp_degree, ranks, num_microbatches,
            plan::schedule_with(plan::ClosedForm::kSlowestStage)};
  }

  // The counts that let some rank work on other numbers of samples: more of them with the same
  // ones only add work.
  std::vector<int> useful_counts(const HandChoice& choice) const {
    std::vector<int> out;
    std::set<std::pair<std::int64_t, std::int64_t>> known;
    const int dp = shape_of(choice, 1).layout(choice.strategy).dp_degree();
    for (const int count : search::microbatch_counts({}, inputs_.job.global_batch)) {
      const auto sizes = cost::microbatch_sizes(inputs_.job.global_batch, count);
      const bool is_new =
          known.emplace(largest_chunk(sizes.large, dp), largest_chunk(sizes.small, dp)).second;
      if (is_new) out.push_back(count);
    }
    return out;
  }

  cost::CostTables tables_of(const plan::LayerStrategy& strategy,
                             const cost::PipelineShape& shape) const {
    const spec::ModelSpec& model = inputs_.model;
    std::vector<std::vector<plan::LayerStrategy>> candidates;
    for (int type = 0; type < static_cast<int>(model.type_names().size()); ++type) {
      const spec::LayerKind kind = model.layer(model.first_layer_of_type(type)).kind;
      candidates.push_back({plan::fitted(strategy, kind)});
    }
    return cost::build_cost_tables(inputs_, shape, std::move(candidates));
  }

  std::vector<int> only_choice() const {
    return std::vector<int>(static_cast<std::size_t>(inputs_.model.num_layers()), 0);
  }

  Range stage_layers(const cost::PipelineShape& shape, int stage) const {
    return chunk(inputs_.model.num_layers(), shape.num_stages(), stage);
  }

  void add(const plan::LayerStrategy& strategy, const cost::PipelineShape& shape) {
    const cost::CostTables tables = tables_of(strategy, shape);
    const std::vector<int> choice = only_choice();
    std::vector<cost::StageNumbers> stages;
    for (int stage = 0; stage < shape.num_stages(); ++stage) {
      stages.push_back(cost::stage_numbers(tables, choice, stage_layers(shape, stage), stage));
    }
    trials_.push_back({strategy, shape, cost::pipeline_time_ms(shape, stages)});
  }

  void add_plain(const HandChoice& choice) {
    for (const int count : useful_counts(choice)) add(choice.strategy, shape_of(choice, count));
  }

  // What a pipeline of so many ranks takes at least, whatever it interleaves: without bubble and
  // transfers, all ranks alike.
  double least_ms(const HandChoice& choice, const cost::PipelineShape& shape) const {
    const cost::CostTables tables = tables_of(choice.strategy, shape);
    double sum = 0;
    for (int layer = 0; layer < tables.num_layers(); ++layer) {
      const cost::LayerCost& one = tables.layer_cost(layer, 0);
      sum += one.forward_ms + one.backward_ms;
    }
    return sum * shape.num_microbatches / shape.pp_degree;
  }

  void add_interleaved(const HandChoice& choice, double enough_ms) {
    if (choice.pp_degree == 1) return;
    const plan::ScheduleKind kind = plan::schedule_with(plan::ClosedForm::kSlowestOfEachChunk);
    const std::vector<int> several = search::interleaved_stages_per_rank(
        inputs_.model.num_layers(), choice.pp_degree, plan::traits(kind).usual_stages_per_rank);
    for (const int count : useful_counts(choice)) {
      cost::PipelineShape shape = shape_of(choice, count);
      if (least_ms(choice, shape) >= enough_ms) continue;
      shape.schedule = kind;
      for (const int v : several) {
        shape.stages_per_rank = v;
        add(choice.strategy, shape);
      }
    }
  }

  std::int64_t peak_bytes(const Trial& trial) const {
    const cost::CostTables tables = tables_of(trial.strategy, trial.shape);
    const std::vector<int> choice = only_choice();
    std::int64_t most = 0;
    for (int pp_rank = 0; pp_rank < trial.shape.pp_degree; ++pp_rank) {
      std::vector<Range> stages;
      for (int stage = pp_rank; stage < trial.shape.num_stages(); stage += trial.shape.pp_degree) {
        stages.push_back(stage_layers(trial.shape, stage));
      }
      const auto moments = cost::flight_moments(trial.shape, pp_rank);
      most = std::max(most, cost::rank_memory_peak(tables, choice, stages, moments).total());
    }
    return most;
  }

  const Trial* fastest_that_fits() {
    std::stable_sort(trials_.begin(), trials_.end(),
                     [](const Trial& a, const Trial& b) { return a.step_ms < b.step_ms; });
    for (Trial& trial : trials_) {
      if (trial.bytes == 0) trial.bytes = peak_bytes(trial);
      if (trial.bytes <= memory_.value) return &trial;
    }
    return nullptr;
  }

  // REQUIRES: none fits, so that the bytes of all are known.
  const Trial& leanest() const {
    return *std::min_element(trials_.begin(), trials_.end(),
                             [](const Trial& a, const Trial& b) { return a.bytes < b.bytes; });
  }

  search::FoundPlan describe(const Trial& trial) const {
    std::vector<plan::LayerStrategy> layers;
    for (const spec::LayerSpec& layer : inputs_.model.layers) {
      layers.push_back(plan::fitted(trial.strategy, layer.kind));
    }
    return search::make_found_plan(
        inputs_,
        {trial.shape, plan::even_stages(inputs_.model.num_layers(), trial.shape.num_stages()),
         std::move(layers), trial.step_ms});
  }

  const cost::CostInputs& inputs_;
  Bytes memory_;
  std::vector<Trial> trials_;
};

double gain_over(const Baseline& baseline, const search::FoundPlan& found) {
  return baseline.found.ms_per_sample() / found.ms_per_sample() - 1;
}

std::string gain_text(const std::vector<Baseline>& baselines, const search::FoundPlan& found) {
  const Baseline* best = best_baseline(baselines);
  if (best == nullptr) return "  the plan found fits; none of these does\n";
  const double percent = 100 * gain_over(*best, found);
  if (percent < -0.005) {
    return fmt::format(
        "  {} is {:.2f} % faster than the plan found, out of which the constraints keep it\n",
        best->name, -percent / (1 + percent / 100));
  }
  if (percent < 0.005) {
    return fmt::format("  the plan found is as fast as the best of these, {}\n", best->name);
  }
  return fmt::format("  the plan found does {:.2f} % more tokens/s than the best of these, {}\n",
                     percent, best->name);
}

OrderedJson baseline_to_json(const Baseline& one) {
  const plan::Plan& plan = one.found.plan;
  return {{"name", one.name},
          {"help", one.help},
          {"fits", one.fits()},
          {"missing_bytes", one.missing.value},
          {"step_ms", one.found.cost.step_time.value},
          {"tokens_per_second", one.found.cost.tokens_per_second},
          {"peak_memory_bytes", one.found.cost.peak_memory().value},
          {"pp_degree", plan.pipeline.degree},
          {"schedule", plan::to_text(plan.pipeline.schedule)},
          {"stages_per_rank", plan.pipeline.stages_per_rank()},
          {"num_microbatches", plan.num_microbatches},
          {"layers", plan::summarize(plan, one.found.layer_names)}};
}

}  // namespace

std::vector<Baseline> find_baselines(const cost::CostInputs& inputs, Bytes memory) {
  BaselineTuner tuner(inputs, memory);
  std::vector<Baseline> out;
  for (const BaselineRule& rule : kRules) out.push_back(tuner.tune(rule));
  return out;
}

const Baseline* best_baseline(const std::vector<Baseline>& baselines) {
  const Baseline* best = nullptr;
  for (const Baseline& one : baselines) {
    if (!one.fits()) continue;
    if (!best || one.found.ms_per_sample() < best->found.ms_per_sample()) best = &one;
  }
  return best;
}

std::string to_text(const std::vector<Baseline>& baselines, const search::FoundPlan& found) {
  TextTable table({"by hand", "step", "tokens/s", "memory", "step is", "tuned to"});
  table.align(4, TextTable::Align::kLeft);
  table.align(5, TextTable::Align::kLeft);
  for (const Baseline& one : baselines) {
    const cost::PlanCost& cost = one.found.cost;
    const std::string tuned =
        plan::to_text(one.strategy) + ", " + search::shape_text(one.found.plan);
    if (!one.fits()) {
      table.add_row({one.name, "-", "-", galvatron::to_text(cost.peak_memory()),
                     "does not fit: +" + galvatron::to_text(one.missing), tuned});
      continue;
    }
    table.add_row({one.name, galvatron::to_text(cost.step_time),
                   fmt::format("{:.0f}", cost.tokens_per_second),
                   galvatron::to_text(cost.peak_memory()),
                   search::percent_more(one.found.ms_per_sample(), found.ms_per_sample()), tuned});
  }
  return table.to_string() + gain_text(baselines, found);
}

OrderedJson baselines_to_json(const std::vector<Baseline>& baselines,
                              const search::FoundPlan& found) {
  OrderedJson plans = OrderedJson::array();
  for (const Baseline& one : baselines) plans.push_back(baseline_to_json(one));
  OrderedJson out = {{"plans", plans}, {"best", nullptr}, {"gain", nullptr}};
  if (const Baseline* best = best_baseline(baselines)) {
    out["best"] = best->name;
    out["gain"] = gain_over(*best, found);
  }
  return out;
}

}  // namespace galvatron::planning
