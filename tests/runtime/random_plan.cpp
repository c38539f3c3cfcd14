#include "runtime/random_plan.h"

#include <algorithm>
#include <functional>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/models/hf_weights.h"
#include "galvatron/plan/check_plan.h"

namespace galvatron::testing {
namespace {

plan::LayerStrategy random_strategy(Random& random, int ranks_per_stage) {
  plan::LayerStrategy strategy;
  const auto seq_degrees = divisors(ranks_per_stage);
  const std::int64_t seq_degree = pick_of(random, seq_degrees);
  strategy.tp_degree = static_cast<int>(pick_of(random, divisors(seq_degree)));
  strategy.ulysses_degree = static_cast<int>(seq_degree) / strategy.tp_degree;
  const bool one_way = strategy.tp_degree == 1 || strategy.tp_degree == ranks_per_stage;
  strategy.tp_consecutive = one_way || pick(random, 0, 2) > 0;
  strategy.zero_stage = static_cast<int>(pick(random, 0, 3));
  const bool parts = strategy.zero_stage > 0 && pick(random, 0, 1) == 1;
  const int replicas = ranks_per_stage / strategy.tp_degree;
  strategy.shard_degree = parts ? static_cast<int>(pick_of(random, divisors(replicas))) : 0;
  strategy.recompute = pick_of<plan::Recompute>(
      random, {plan::Recompute::kNone, plan::Recompute::kSelective, plan::Recompute::kFull});
  return strategy;
}

std::vector<int> random_partition(Random& random, int layers, int stages) {
  std::vector<int> cuts;
  for (int i = 1; i < layers; ++i) cuts.push_back(i);
  std::shuffle(cuts.begin(), cuts.end(), random);
  cuts.resize(static_cast<std::size_t>(stages) - 1);
  cuts.push_back(0);
  cuts.push_back(layers);
  std::sort(cuts.begin(), cuts.end());
  std::vector<int> sizes;
  for (std::size_t i = 1; i < cuts.size(); ++i) sizes.push_back(cuts[i] - cuts[i - 1]);
  return sizes;
}

// Any that there is; those with several stages on a rank twice as often.
const plan::ScheduleTraits& random_schedule(Random& random, bool may_have_several_stages) {
  std::vector<plan::ScheduleKind> kinds;
  for (const plan::ScheduleTraits& one : plan::schedules()) {
    if (!one.several_stages()) {
      kinds.push_back(one.kind);
    } else if (may_have_several_stages) {
      kinds.insert(kinds.end(), 2, one.kind);
    }
  }
  return plan::traits(pick_of(random, kinds));
}

// All that rounds nothing more.
spec::Communication random_communication(Random& random) {
  constexpr std::int64_t kMostWindow = 20'000;
  spec::Communication out;
  out.grad_reduce = pick_of<spec::GradReduce>(
      random,
      {spec::GradReduce::kMicrobatch, spec::GradReduce::kMicrobatch, spec::GradReduce::kStep});
  out.parameter_gather = pick_of<spec::ParameterGather>(
      random, {spec::ParameterGather::kWait, spec::ParameterGather::kOverlap});
  if (pick(random, 0, 1) == 1) out.reduce_window = Bytes{pick(random, 0, kMostWindow)};
  out.gather_window = {std::max<std::int64_t>(0, pick(random, -kMostWindow, kMostWindow))};
  return out;
}

// Draws until check_plan agrees: for one layer, then for the whole.
plan::LayerStrategy valid_strategy(Random& random, const spec::LayerSpec& layer,
                                   int ranks_per_stage) {
  while (true) {
    plan::LayerStrategy strategy = random_strategy(random, ranks_per_stage);
    const bool middle =
        layer.kind == spec::LayerKind::kBlock || layer.kind == spec::LayerKind::kMerge;
    if (!middle) strategy.recompute = plan::Recompute::kNone;
    if (!plan::check_layer_strategy(strategy, layer, ranks_per_stage)) return strategy;
  }
}

// Two parameters of the model by name, and all biases, each in some way of its own.
std::vector<std::string> random_groups(Random& random, const spec::ModelSpec& model) {
  std::vector<std::string> out;
  for (const char* const setting : {"frozen", "lr=0.25x,weight_decay=0.5"}) {
    const int layer = static_cast<int>(pick(random, 0, model.num_layers() - 2));
    const spec::ParamSpec& param = pick_of(random, model.layer(layer).params);
    const std::vector<models::HfTensor> tensors = models::hf_tensors(model, layer, param);
    if (!param.tied_name.empty()) continue;  // it has the name of another layer
    out.push_back(pick_of(random, tensors).names.front() + ":" + setting);
  }
  if (out.size() == 2 && out[0].substr(0, out[0].find(':')) == out[1].substr(0, out[1].find(':')))
    out.pop_back();
  return out;
}

}  // namespace

TrainingCase random_case(Random& random, const std::vector<std::string>& families) {
  TrainingCase job;
  const RandomModel drawn = random_model(random, families);
  job.model = spec::model_from_config(drawn.config, "fuzz");
  job.seq_length = job.model.choose_seq_length(drawn.seq_length, 0);
  job.global_batch = pick(random, 1, 9);
  job.seed = static_cast<std::uint64_t>(pick(random, 1, 1'000'000));
  return job;
}

plan::Plan random_plan(Random& random, const TrainingCase& job, int world_size) {
  while (true) {
    std::vector<std::int64_t> degrees;
    for (const std::int64_t d : divisors(world_size)) {
      if (d <= job.model.num_layers()) degrees.push_back(d);
    }
    const int pp_degree = static_cast<int>(pick_of(random, degrees));
    const auto most_chunks = std::min<std::int64_t>(4, job.model.num_layers() / pp_degree);
    const plan::ScheduleTraits& schedule =
        random_schedule(random, pp_degree > 1 && most_chunks > 1);
    const int fewest = schedule.usual_stages_per_rank;
    const int stages =
        pp_degree *
        static_cast<int>(schedule.several_stages() ? pick(random, fewest, most_chunks) : 1);
    plan::Plan plan = plan::uniform_plan(
        job.model, {job.seq_length, job.global_batch, spec::Precision::kFp64}, world_size, {},
        pp_degree, static_cast<int>(pick(random, 1, job.global_batch)), schedule.kind);
    plan.pipeline.layers_per_stage = random_partition(random, job.model.num_layers(), stages);
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
      plan.layers[i] = valid_strategy(random, job.model.layers[i], plan.ranks_per_stage());
    }
    for (const int layer : job.model.tied_layers()) {
      plan::LayerStrategy& strategy = plan.layers[static_cast<std::size_t>(layer)];
      const plan::LayerStrategy& first = plan.layers.front();
      if (layer == 0) continue;
      plan::for_each_field([&](const auto& field) {
        if (field.tied) strategy.*field.member = first.*field.member;
      });
      strategy.ulysses_degree = 1;
    }
    if (!plan::check_plan(plan, job.model, {world_size, job.seq_length})) return plan;
  }
}

FuzzCase fuzz_case(std::uint64_t seed, const std::vector<std::string>& families) {
  Random random(seed);
  const int world_size = pick_of<int>(random, {2, 2, 3, 4, 4, 4, 6, 8, 8});
  FuzzCase test;
  test.job = random_case(random, families);
  test.plan = random_plan(random, test.job, world_size);
  test.job.optimizer = {pick_of<std::string>(random, spec::optimizer_names()), {}};
  const spec::ModelSpec& model = test.job.model;
  const bool has_text = model.task != spec::Task::kImageClasses;
  test.job.documents = has_text && pick(random, 0, 2) == 0;
  test.job.positions = has_text && pick(random, 0, 3) == 0;
  if (pick(random, 0, 2) == 0) test.job.param_groups = random_groups(random, model);
  test.job.token_types = model.num_token_types > 0 && pick(random, 0, 1) == 0;
  test.job.mixes_images = !has_text && pick(random, 0, 1) == 0;
  test.job.label_smoothing = pick_of<double>(random, {0, 0, 0.1});
  test.plan.communication = random_communication(random);
  return test;
}

Difference run_case(const FuzzCase& test, comm::BackendKind backend) {
  try {
    return difference(train(test.job, single_rank_plan(test.job)),
                      train(test.job, test.plan, backend));
  } catch (const std::exception& error) {
    return {std::numeric_limits<double>::infinity(), error.what()};
  }
}

FuzzCase shrink(FuzzCase failing, double tolerance) {
  using Simplify = std::function<void(FuzzCase&)>;
  std::vector<Simplify> steps;
  const auto for_each_layer = [&](const std::function<void(plan::LayerStrategy&)>& change) {
    for (std::size_t i = 0; i < failing.plan.layers.size(); ++i) {
      steps.push_back([i, change](FuzzCase& test) { change(test.plan.layers[i]); });
    }
    steps.push_back([change](FuzzCase& test) {
      for (plan::LayerStrategy& layer : test.plan.layers) change(layer);
    });
  };
  steps.push_back([](FuzzCase& test) {
    test.plan.world_size = test.plan.ranks_per_stage();
    test.plan.pipeline = {
        1, plan::ScheduleKind::k1F1B, {static_cast<int>(test.plan.layers.size())}};
  });
  steps.push_back([](FuzzCase& test) {
    plan::Pipeline& pipeline = test.plan.pipeline;
    pipeline.schedule = plan::ScheduleKind::k1F1B;
    pipeline.layers_per_stage =
        plan::even_stages(static_cast<int>(test.plan.layers.size()), pipeline.degree);
  });
  steps.push_back([](FuzzCase& test) { test.plan.num_microbatches = 1; });
  steps.push_back([](FuzzCase& test) { test.job.steps = 1; });
  steps.push_back([](FuzzCase& test) { test.job.documents = false; });
  steps.push_back([](FuzzCase& test) { test.job.positions = false; });
  steps.push_back([](FuzzCase& test) { test.job.param_groups.clear(); });
  steps.push_back([](FuzzCase& test) { test.job.token_types = false; });
  steps.push_back([](FuzzCase& test) { test.job.mixes_images = false; });
  steps.push_back([](FuzzCase& test) { test.job.label_smoothing = 0; });
  for_each_layer([](plan::LayerStrategy& s) { s = {}; });
  for_each_layer([](plan::LayerStrategy& s) { s.recompute = plan::Recompute::kNone; });
  for_each_layer([](plan::LayerStrategy& s) { s.shard_degree = 0; });
  for_each_layer([](plan::LayerStrategy& s) { s.zero_stage = s.shard_degree = 0; });
  for_each_layer([](plan::LayerStrategy& s) { s.tp_consecutive = true; });
  for_each_layer([](plan::LayerStrategy& s) { s.ulysses_degree = 1; });
  for_each_layer([](plan::LayerStrategy& s) { s.tp_degree = 1, s.tp_consecutive = true; });
  for (bool progress = true; progress;) {
    progress = false;
    for (const Simplify& step : steps) {
      FuzzCase simpler = failing;
      step(simpler);
      const bool changed =
          describe(simpler) != describe(failing) || simpler.job.steps != failing.job.steps;
      if (!changed || plan::check_plan(simpler.plan, simpler.job.model)) continue;
      if (run_case(simpler).value <= tolerance) continue;
      failing = simpler;
      progress = true;
    }
  }
  return failing;
}

std::string describe(const FuzzCase& test) {
  return plan::plan_to_json(test.plan).dump(2) + "\nconfig: " + test.job.model.config.dump() +
         "\nseq_length " + std::to_string(test.job.seq_length) + ", steps " +
         std::to_string(test.job.steps) + ", " + test.job.optimizer.spec().name +
         fmt::format("; {}", fmt::join(test.job.param_groups, " ")) +
         (test.job.documents ? ", documents" : "") + (test.job.positions ? ", positions" : "") +
         (test.job.token_types ? ", token types" : "") +
         (test.job.mixes_images ? ", mixed images" : "") +
         fmt::format(", label smoothing {}", test.job.label_smoothing);
}

}  // namespace galvatron::testing
