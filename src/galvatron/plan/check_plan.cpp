#include "galvatron/plan/check_plan.h"

#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

using Problem = std::optional<std::string>;

// A plan is one for shapes; the names count only where it does not record them.
Problem check_shapes(const Plan& plan, const spec::ModelSpec& model) {
  if (const auto other = spec::shape_difference(plan.shapes, spec::block_shapes(model))) {
    return fmt::format(
        "the plan was made for blocks of {} {}{}, those of model '{}' have {}; search a plan for "
        "this model",
        other->name, other->recorded,
        plan.model.empty() ? "" : fmt::format(" (model '{}')", plan.model), model.name, other->now);
  }
  if (plan.shapes.empty() && !plan.model.empty() && !model.name.empty() &&
      plan.model != model.name) {
    return fmt::format(
        "the plan was made for model '{}', not for '{}'; search a plan for this model, or change "
        "\"model\" in the plan if it is the same model under another name",
        plan.model, model.name);
  }
  return std::nullopt;
}

Problem check_model(const Plan& plan, const spec::ModelSpec& model) {
  if (auto problem = check_shapes(plan, model)) return problem;
  const auto num_layers = static_cast<int>(plan.layers.size());
  if (num_layers != model.num_layers()) {
    return fmt::format(
        "the plan has {} layers, model '{}' has {}, {} of them blocks; the counts in "
        "\"layers\" must add up to that",
        num_layers, model.name, model.num_layers(), model.num_blocks());
  }
  return std::nullopt;
}

Problem check_world(const Plan& plan, const CheckContext& context) {
  if (plan.world_size < 1) {
    return fmt::format("world_size {} must be at least 1", plan.world_size);
  }
  if (context.world_size > 0 && plan.world_size != context.world_size) {
    return fmt::format(
        "the plan is for world_size {}, but {} ranks are here; start {} ranks or search a plan for "
        "{}",
        plan.world_size, context.world_size, plan.world_size, context.world_size);
  }
  return std::nullopt;
}

// Which schedule takes what a plan with several stages on a rank means.
std::string several_stages_hint() {
  for (const ScheduleTraits& one : schedules()) {
    if (!one.several_stages()) continue;
    return fmt::format(", or schedule {}, which runs several stages on a rank", one.name);
  }
  return "";
}

// One stage per pipeline rank, or under a schedule for that several.
Problem check_stage_count(const Pipeline& pipeline) {
  const int entries = pipeline.num_stages(), degree = pipeline.degree;
  const ScheduleTraits& schedule = traits(pipeline.schedule);
  const int fewest = schedule.usual_stages_per_rank;
  if (!schedule.several_stages() && entries != degree) {
    const bool whole = entries > degree && entries % degree == 0;
    return fmt::format(
        "layers_per_stage has {} entries, pp_degree is {}; give one entry per stage{}", entries,
        degree, whole ? several_stages_hint() : "");
  }
  if (!schedule.several_stages()) return std::nullopt;
  if (degree == 1) {
    return fmt::format("schedule {} needs a pp_degree of at least 2, not 1; use 1f1b",
                       schedule.name);
  }
  if (entries == degree) {
    return fmt::format(
        "schedule {} with one stage on each of {} pipeline ranks is 1f1b; use that, or give "
        "layers_per_stage {} entries or more",
        schedule.name, degree, fewest * degree);
  }
  if (entries % degree != 0) {
    return fmt::format(
        "layers_per_stage has {} entries, which is no multiple of pp_degree {}; schedule {} gives "
        "every pipeline rank as many stages",
        entries, degree, schedule.name);
  }
  return std::nullopt;
}

Problem check_stage_sizes(const Pipeline& pipeline, int num_layers) {
  if (auto problem = check_stage_count(pipeline)) return problem;
  const int entries = pipeline.num_stages();
  for (int stage = 0; stage < entries; ++stage) {
    const int layers = pipeline.layers_per_stage[static_cast<std::size_t>(stage)];
    if (layers < 1) {
      return fmt::format(
          "stage {} has {} layers; every stage needs at least 1, so {} can be at most {}", stage,
          layers, entries == pipeline.degree ? "pp_degree" : "pp_degree x stages per rank",
          num_layers);
    }
  }
  const auto total = std::accumulate(pipeline.layers_per_stage.begin(),
                                     pipeline.layers_per_stage.end(), std::int64_t{0});
  if (total != num_layers) {
    return fmt::format("layers_per_stage adds up to {}, but the model has {} layers", total,
                       num_layers);
  }
  return std::nullopt;
}

Problem check_pipeline(const Plan& plan, const spec::ModelSpec& model) {
  const Pipeline& pipeline = plan.pipeline;
  if (pipeline.degree < 1) {
    return fmt::format("pp_degree {} must be at least 1", pipeline.degree);
  }
  if (plan.world_size % pipeline.degree != 0) {
    return fmt::format(
        "pp_degree {} does not divide world_size {}; every stage needs as many ranks",
        pipeline.degree, plan.world_size);
  }
  return check_stage_sizes(pipeline, model.num_layers());
}

Problem check_batch(const Plan& plan) {
  if (plan.global_batch < 1) {
    return fmt::format("global_batch {} must be at least 1", plan.global_batch);
  }
  if (plan.num_microbatches < 1) {
    return fmt::format("num_microbatches {} must be at least 1", plan.num_microbatches);
  }
  if (plan.num_microbatches > plan.global_batch) {
    return fmt::format(
        "num_microbatches {} is more than the {} samples of global_batch; use at most {}",
        plan.num_microbatches, plan.global_batch, plan.global_batch);
  }
  return std::nullopt;
}

Problem check_shards(const LayerStrategy& strategy, int num_replicas) {
  const int shards = strategy.shard_degree;
  if (shards == 0) return std::nullopt;
  if (strategy.zero_stage == 0) {
    return fmt::format(
        "shard_degree {} needs a zero_stage of 1, 2 or 3: without one nothing is "
        "sharded",
        shards);
  }
  if (num_replicas % shards == 0) return std::nullopt;
  return fmt::format(
      "shard_degree {} does not divide the {} ranks that hold the same parameters "
      "(those of a stage over tp_degree {}); 0 shards over all of them",
      shards, num_replicas, strategy.tp_degree);
}

Problem check_degrees(const LayerStrategy& strategy, int ranks_per_stage) {
  if (auto problem = range_problem(strategy)) return problem;
  const std::int64_t seq_degree =
      std::int64_t{strategy.tp_degree} * strategy.ulysses_degree * strategy.cp_degree;
  if (ranks_per_stage % seq_degree != 0) {
    return fmt::format(
        "tp_degree {} x ulysses_degree {} = {} does not divide the {} ranks of a stage",
        strategy.tp_degree, strategy.ulysses_degree, seq_degree, ranks_per_stage);
  }
  if (!strategy.tp_consecutive &&
      (strategy.tp_degree == 1 || strategy.tp_degree == ranks_per_stage)) {
    return fmt::format(
        "tp_consecutive must be true where tp_degree is {} of the {} ranks of a stage: there is "
        "only one way to place them",
        strategy.tp_degree, ranks_per_stage);
  }
  return check_shards(strategy, ranks_per_stage / strategy.tp_degree);
}

Problem check_block(const LayerStrategy& strategy, const spec::TransformerShape& shape) {
  const int head_ways = strategy.tp_degree * strategy.ulysses_degree;
  const auto heads_problem = [&](const char* what, std::int64_t heads) {
    return fmt::format(
        "tp_degree {} x ulysses_degree {} = {} does not divide the {} {}; both split heads",
        strategy.tp_degree, strategy.ulysses_degree, head_ways, heads, what);
  };
  if (shape.num_heads % head_ways != 0) return heads_problem("attention heads", shape.num_heads);
  if (shape.num_kv_heads % head_ways != 0) {
    return heads_problem("key/value heads", shape.num_kv_heads);
  }
  if (shape.intermediate_size < strategy.tp_degree) {
    return fmt::format("tp_degree {} is more than the intermediate size {}", strategy.tp_degree,
                       shape.intermediate_size);
  }
  return std::nullopt;
}

// Embedding and head.
Problem check_vocabulary_layer(const LayerStrategy& strategy, const spec::LayerSpec& layer) {
  const std::int64_t vocab = layer.vocab_size();
  if (vocab == 0 || vocab >= strategy.tp_degree) return std::nullopt;
  const bool images = layer.inputs == std::vector{spec::InputKind::kClasses};
  return fmt::format("tp_degree {} is more than the {} of {}", strategy.tp_degree,
                     images ? "classes" : "vocabulary", vocab);
}

Problem check_shape(const LayerStrategy& strategy, const spec::LayerSpec& layer) {
  switch (layer.kind) {
    case spec::LayerKind::kBlock:
      return check_block(strategy, layer.shape);
    case spec::LayerKind::kEmbedding:
    case spec::LayerKind::kHead:
      return check_vocabulary_layer(strategy, layer);
    case spec::LayerKind::kMerge:
      break;
  }
  return std::nullopt;
}

// Sentences name what they are about first.
std::string first_field_in(const std::string& sentence) {
  std::vector<std::string> fields = {"world_size", "global_batch",     "num_microbatches",
                                     "pp_degree",  "layers_per_stage", "schedule"};
  for_each_field([&](const auto& field) { fields.emplace_back(field.name); });
  std::string out;
  std::size_t first = sentence.size();
  for (const std::string& field : fields) {
    const std::size_t at = sentence.find(field);
    if (at >= first) continue;
    first = at;
    out = field;
  }
  return out;
}

std::optional<PlanProblem> of_whole_plan(const Problem& problem) {
  if (!problem) return std::nullopt;
  return PlanProblem{*problem, std::nullopt, first_field_in(*problem)};
}

Problem check_layer(const Plan& plan, const spec::ModelSpec& model, const CheckContext& context,
                    int layer) {
  const LayerStrategy& strategy = plan.strategy(layer);
  if (auto problem = check_layer_strategy(strategy, model.layer(layer), plan.ranks_per_stage())) {
    return problem;
  }
  const std::int64_t shortest = model.shortest_sequence(layer, context.seq_length);
  if (shortest >= strategy.seq_degree()) return std::nullopt;
  return fmt::format(
      "a sequence of {} tokens cannot be split {} ways (tp_degree {} x "
      "ulysses_degree {})",
      shortest, strategy.seq_degree(), strategy.tp_degree, strategy.ulysses_degree);
}

std::optional<PlanProblem> check_layers(const Plan& plan, const spec::ModelSpec& model,
                                        const CheckContext& context) {
  for (int i = 0; i < model.num_layers(); ++i) {
    if (const auto problem = check_layer(plan, model, context, i)) {
      return PlanProblem{fmt::format("layer {} ({}): {}", i, model.layer(i).name, *problem), i,
                         first_field_in(*problem)};
    }
  }
  return std::nullopt;
}

std::optional<PlanProblem> check_tied(const Plan& plan, const spec::ModelSpec& model) {
  const std::vector<int> tied = model.tied_layers();
  for (std::size_t i = 1; i < tied.size(); ++i) {
    if (const auto difference = tied_difference(plan.strategy(tied[0]), plan.strategy(tied[i]))) {
      return PlanProblem{
          fmt::format("{} and {} share one weight, so their {} must be equal, not {} and {}",
                      model.layer(tied[0]).name, model.layer(tied[i]).name, difference->name,
                      difference->one, difference->other),
          tied[i], difference->name};
    }
  }
  return std::nullopt;
}

Problem check_seq_length(const spec::ModelSpec& model, const CheckContext& context) {
  if (context.seq_length == 0) return std::nullopt;
  if (model.fixed_seq_length > 0 && context.seq_length != model.fixed_seq_length) {
    return fmt::format("images of {} x {} make {} tokens in model '{}', not {}", model.image.height,
                       model.image.width, model.fixed_seq_length, model.name, context.seq_length);
  }
  if (context.seq_length <= model.max_positions) return std::nullopt;
  return fmt::format("a sequence of {} tokens is longer than the {} positions of model '{}'",
                     context.seq_length, model.max_positions, model.name);
}

}  // namespace

Problem check_layer_strategy(const LayerStrategy& strategy, const spec::LayerSpec& layer,
                             int ranks_per_stage) {
  if (auto problem = check_degrees(strategy, ranks_per_stage)) return problem;
  if (auto problem = check_shape(strategy, layer)) return problem;
  return misfit_problem(strategy, layer.kind);
}

std::optional<PlanProblem> find_problem(const Plan& plan, const spec::ModelSpec& model,
                                        const CheckContext& context) {
  if (auto problem = check_model(plan, model)) return of_whole_plan(problem);
  if (auto problem = check_world(plan, context)) return of_whole_plan(problem);
  if (auto problem = check_pipeline(plan, model)) return of_whole_plan(problem);
  if (auto problem = check_batch(plan)) return of_whole_plan(problem);
  if (auto problem = check_seq_length(model, context)) return of_whole_plan(problem);
  if (auto problem = check_layers(plan, model, context)) return problem;
  return check_tied(plan, model);
}

Problem check_plan(const Plan& plan, const spec::ModelSpec& model, const CheckContext& context) {
  auto problem = find_problem(plan, model, context);
  if (!problem) return std::nullopt;
  return std::move(problem->sentence);
}

void require_valid_plan(const Plan& plan, const spec::ModelSpec& model,
                        const CheckContext& context) {
  if (const auto problem = check_plan(plan, model, context)) throw ConfigError("[plan] ", *problem);
}

}  // namespace galvatron::plan
