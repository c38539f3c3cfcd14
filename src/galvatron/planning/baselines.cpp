#include "galvatron/planning/baselines.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
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
  const int world = inputs.hardware.world_size, node = inputs.hardware.ranks_on_node();
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
  // It takes no less.
  double bound_ms = 0;
  std::int64_t least_bytes = 0;
  bool smallest = false;  // its microbatches are the smallest of its kind
};

// The best plan of a baseline: trials by their bounds, priced until no other can be faster.
class BaselineTuner {
 public:
  BaselineTuner(const cost::CostInputs& inputs, Bytes memory)
      : inputs_(inputs),
        memory_(memory.value),
        only_choice_(static_cast<std::size_t>(inputs.model.num_layers()), 0),
        layers_of_type_(inputs.model.type_names().size(), 0) {
    for (const spec::LayerSpec& layer : inputs.model.layers) {
      ++layers_of_type_[static_cast<std::size_t>(layer.type)];
    }
  }

  Baseline tune(const BaselineRule& rule) {
    trials_.clear();
    for (const HandChoice& choice : rule.choices(inputs_)) add_trials(choice);
    const Trial* fastest = fastest_that_fits();
    const Trial& trial = fastest ? *fastest : leanest();
    Baseline out{rule.name, rule.help, describe(trial), trial.strategy, {}};
    out.missing = std::max(out.found.cost.peak_memory() - Bytes{memory_}, Bytes{});
    return out;
  }

 private:
  void add_trials(const HandChoice& choice) {
    Trial trial{choice.strategy,
                {choice.pp_degree, inputs_.hardware.world_size / choice.pp_degree}};
    cost::PipelineShape& shape = trial.shape;
    const plan::ScheduleKind plain = plan::schedule_with(plan::ClosedForm::kSlowestStage);
    const plan::ScheduleKind several = plan::schedule_with(plan::ClosedForm::kSlowestOfEachChunk);
    const std::vector<int> stages_per_rank = search::interleaved_stages_per_rank(
        inputs_.model.num_layers(), choice.pp_degree, plan::traits(several).usual_stages_per_rank);
    const std::vector<int> counts = useful_counts(choice, shape);
    trial.least_bytes = mean_state_bytes(trial);
    for (const int count : counts) {
      shape.num_microbatches = count;
      trial.smallest = count == counts.back();
      const double of_rank = compute_ms(choice.strategy, shape) / shape.pp_degree;
      add_trial(trial, plain, 1, of_rank);
      for (const int stages : stages_per_rank) add_trial(trial, several, stages, of_rank);
    }
  }

  // With m microbatches and v stages on each of p ranks m of a rank's computing, and (p - 1) / v
  // until the others are busy: as the closed forms have it (cost/pipeline_time.h) with all stages
  // at their mean. Fewer microbatches than ranks: each of the first passes all ranks.
  void add_trial(Trial trial, plan::ScheduleKind schedule, int stages_per_rank, double of_rank_ms) {
    trial.shape.schedule = schedule;
    trial.shape.stages_per_rank = stages_per_rank;
    const int m = trial.shape.num_microbatches, p = trial.shape.pp_degree;
    trial.bound_ms = of_rank_ms * (std::max(m, p) + (std::min(m, p) - 1.0) / stages_per_rank);
    trials_.push_back(trial);
  }

  // Of a rank, with the reserve: its fullest one has no less.
  std::int64_t mean_state_bytes(const Trial& trial) const {
    const cost::CostTables tables = tables_of(trial);
    std::int64_t sum = 0;
    for (std::size_t type = 0; type < layers_of_type_.size(); ++type) {
      sum += layers_of_type_[type] * tables.cost[type][0].state_bytes;
    }
    return tables.reserve_bytes + sum / trial.shape.pp_degree;
  }

  // The counts that let some rank work on other numbers of samples: more of them with the same
  // ones only add work.
  std::vector<int> useful_counts(const HandChoice& choice, const cost::PipelineShape& shape) const {
    std::vector<int> out;
    std::set<std::pair<std::int64_t, std::int64_t>> known;
    const int dp = shape.layout(choice.strategy).dp_degree();
    for (const int count : search::microbatch_counts({}, inputs_.job.global_batch)) {
      const auto sizes = cost::microbatch_sizes(inputs_.job.global_batch, count);
      const bool is_new =
          known.emplace(largest_chunk(sizes.large, dp), largest_chunk(sizes.small, dp)).second;
      if (is_new) out.push_back(count);
    }
    return out;
  }

  int first_of_type(std::size_t type) const {
    return inputs_.model.first_layer_of_type(static_cast<int>(type));
  }
  plan::LayerStrategy of_type(const plan::LayerStrategy& strategy, std::size_t type) const {
    return plan::fitted(strategy, inputs_.model.layer(first_of_type(type)).kind);
  }

  // All layers, of one microbatch on average.
  double compute_ms(const plan::LayerStrategy& strategy, const cost::PipelineShape& shape) const {
    const auto sizes = cost::microbatch_sizes(inputs_.job.global_batch, shape.num_microbatches);
    double sum = 0;
    for (std::size_t type = 0; type < layers_of_type_.size(); ++type) {
      const auto time_of = [&](std::int64_t samples) {
        return cost::compute_time(inputs_, shape, first_of_type(type), of_type(strategy, type),
                                  samples)
            .value;
      };
      sum += layers_of_type_[type] * sizes.mean(time_of(sizes.large), time_of(sizes.small));
    }
    return sum * (1 - search::kRounding);
  }

  cost::CostTables tables_of(const Trial& trial) const {
    std::vector<std::vector<plan::LayerStrategy>> candidates;
    for (std::size_t type = 0; type < layers_of_type_.size(); ++type) {
      candidates.push_back({of_type(trial.strategy, type)});
    }
    return cost::build_cost_tables(inputs_, trial.shape, std::move(candidates));
  }

  Range stage_layers(const cost::PipelineShape& shape, int stage) const {
    return chunk(inputs_.model.num_layers(), shape.num_stages(), stage);
  }

  double step_ms(const Trial& trial, const cost::CostTables& tables) const {
    std::vector<cost::StageNumbers> stages;
    for (int stage = 0; stage < trial.shape.num_stages(); ++stage) {
      stages.push_back(
          cost::stage_numbers(tables, only_choice_, stage_layers(trial.shape, stage), stage));
    }
    return cost::pipeline_time_ms(trial.shape, stages);
  }

  const std::vector<cost::FlightMoment>& moments_of(const cost::PipelineShape& shape, int rank) {
    auto [it, added] = moments_.try_emplace(
        {shape.pp_degree, shape.num_microbatches, shape.stages_per_rank, rank});
    if (added) it->second = cost::flight_moments(shape, rank);
    return it->second;
  }

  // Of the fullest rank, or of any that exceeds `most`.
  std::int64_t peak_bytes(const Trial& trial, const cost::CostTables& tables, std::int64_t most) {
    const cost::PipelineShape& shape = trial.shape;
    std::int64_t peak = 0;
    for (int rank = 0; rank < shape.pp_degree && peak <= most; ++rank) {
      std::vector<Range> stages;
      for (int stage = rank; stage < shape.num_stages(); stage += shape.pp_degree) {
        stages.push_back(stage_layers(shape, stage));
      }
      const auto& moments = moments_of(shape, rank);
      peak = std::max(peak, cost::rank_memory_peak(tables, only_choice_, stages, moments).total());
    }
    return peak;
  }

  const Trial* fastest_that_fits() {
    std::stable_sort(trials_.begin(), trials_.end(),
                     [](const Trial& a, const Trial& b) { return a.bound_ms < b.bound_ms; });
    const Trial* best = nullptr;
    double best_ms = search::kInfinity;
    for (const Trial& trial : trials_) {
      if (trial.bound_ms >= best_ms) break;
      if (trial.least_bytes > memory_) continue;
      const cost::CostTables tables = tables_of(trial);
      const double ms = step_ms(trial, tables);
      if (ms >= best_ms || peak_bytes(trial, tables, memory_) > memory_) continue;
      best_ms = ms;
      best = &trial;
    }
    return best;
  }

  // Smaller microbatches never need more.
  const Trial& leanest() {
    const Trial* best = nullptr;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Trial& trial : trials_) {
      if (!trial.smallest || trial.least_bytes >= least) continue;
      const std::int64_t bytes = peak_bytes(trial, tables_of(trial), least);
      if (bytes >= least) continue;
      least = bytes;
      best = &trial;
    }
    return *best;
  }

  search::FoundPlan describe(const Trial& trial) const {
    std::vector<plan::LayerStrategy> layers;
    for (const spec::LayerSpec& layer : inputs_.model.layers) {
      layers.push_back(plan::fitted(trial.strategy, layer.kind));
    }
    const int num_layers = inputs_.model.num_layers(), num_stages = trial.shape.num_stages();
    return search::make_found_plan(inputs_, {trial.shape, plan::even_stages(num_layers, num_stages),
                                             std::move(layers), step_ms(trial, tables_of(trial))});
  }

  const cost::CostInputs& inputs_;
  std::int64_t memory_;
  std::vector<int> only_choice_;     // of each layer
  std::vector<int> layers_of_type_;  // how many
  std::vector<Trial> trials_;
  // By pipeline ranks, microbatches, stages per rank and rank: of several stages per rank under the
  // one schedule for that.
  std::map<std::array<int, 4>, std::vector<cost::FlightMoment>> moments_;
};

double ms_per_sample(const search::FoundPlan& found, StepFigure by) {
  return by == StepFigure::kFormula ? found.ms_per_sample() : found.simulated_ms_per_sample();
}

double gain_over(const Baseline& baseline, const search::FoundPlan& found, StepFigure by) {
  return ms_per_sample(baseline.found, by) / ms_per_sample(found, by) - 1;
}

std::string gain_text(const std::vector<Baseline>& baselines, const search::FoundPlan& found,
                      StepFigure by) {
  const Baseline* best = best_baseline(baselines, by);
  if (best == nullptr) return "  the plan found fits; none of these does\n";
  const double percent = 100 * gain_over(*best, found, by);
  const bool simulated = by == StepFigure::kSimulation;
  const char* how = simulated ? ", simulated" : "";
  if (percent < -100 * search::SearchOptions{}.simplicity) {
    return fmt::format(
        "  {} takes {:.2f} % less time than the plan found{}; it is outside the space "
        "searched{}\n",
        best->name, -percent, how,
        simulated ? ", or not the best of its shape by the formula" : "");
  }
  if (percent < 0.005) {
    return fmt::format("  the plan found is no faster than the best of these, {}{}\n", best->name,
                       how);
  }
  return fmt::format("  the plan found does {:.2f} % more tokens/s than the best of these, {}{}\n",
                     percent, best->name, how);
}

// `found`: nullptr where nothing was.
std::string table_text(const std::vector<Baseline>& baselines, const search::FoundPlan* found,
                       StepFigure by) {
  const char* beside_head = by == StepFigure::kFormula ? "step is" : "simulated is";
  TextTable table({"by hand", "step", "tokens/s", "memory", found ? beside_head : "", "tuned to"});
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
    const std::string beside =
        found ? search::percent_more(ms_per_sample(one.found, by), ms_per_sample(*found, by))
              : "fits";
    table.add_row({one.name, galvatron::to_text(cost.step_time),
                   fmt::format("{:.0f}", cost.tokens_per_second),
                   galvatron::to_text(cost.peak_memory()), beside, tuned});
  }
  return table.to_string();
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

StepFigure chosen_by(const search::SearchResult& result) {
  return result.by_formula ? StepFigure::kSimulation : StepFigure::kFormula;
}

const Baseline* best_baseline(const std::vector<Baseline>& baselines, StepFigure by) {
  const Baseline* best = nullptr;
  for (const Baseline& one : baselines) {
    if (!one.fits()) continue;
    if (!best || ms_per_sample(one.found, by) < ms_per_sample(best->found, by)) best = &one;
  }
  return best;
}

std::string to_text(const std::vector<Baseline>& baselines, const search::FoundPlan& found,
                    StepFigure by) {
  return table_text(baselines, &found, by) + gain_text(baselines, found, by);
}

std::string to_text(const std::vector<Baseline>& baselines) {
  const Baseline* best = best_baseline(baselines);
  const std::string verdict =
      best ? best->name + " fits; it is outside the space searched" : "none of these fits either";
  return table_text(baselines, nullptr, StepFigure::kFormula) + "  " + verdict + "\n";
}

OrderedJson baselines_to_json(const std::vector<Baseline>& baselines,
                              const search::FoundPlan& found, StepFigure by) {
  OrderedJson plans = OrderedJson::array();
  for (const Baseline& one : baselines) plans.push_back(baseline_to_json(one));
  OrderedJson out = {{"plans", plans}, {"best", nullptr}, {"gain", nullptr}};
  if (const Baseline* best = best_baseline(baselines, by)) {
    out["best"] = best->name;
    out["gain"] = gain_over(*best, found, by);
  }
  out["compared_by"] = by == StepFigure::kFormula ? "formula" : "simulation";
  return out;
}

}  // namespace galvatron::planning
