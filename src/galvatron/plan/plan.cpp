#include "galvatron/plan/plan.h"

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

std::string describe_run(int count, const LayerStrategy& strategy) {
  return std::to_string(count) + " x " + to_text(strategy);
}

}  // namespace

std::vector<int> Pipeline::stages_of_rank(int pp_rank) const {
  std::vector<int> stages;
  for (int stage = pp_rank; stage < num_stages(); stage += degree) stages.push_back(stage);
  return stages;
}

int Plan::stage_of_layer(int layer) const {
  int end = 0;
  for (int stage = 0; stage < pipeline.num_stages(); ++stage) {
    end += pipeline.layers_per_stage.at(static_cast<std::size_t>(stage));
    if (layer < end) return stage;
  }
  GALV_CHECK(false, "layer ", layer, " lies behind the last stage, which ends at ", end);
  return -1;
}

Range Plan::layers_of_stage(int stage) const {
  std::int64_t begin = 0;
  for (int s = 0; s < stage; ++s)
    begin += pipeline.layers_per_stage.at(static_cast<std::size_t>(s));
  return {begin, begin + pipeline.layers_per_stage.at(static_cast<std::size_t>(stage))};
}

std::vector<int> even_stages(int num_layers, int num_stages) {
  std::vector<int> sizes;
  for (int stage = 0; stage < num_stages; ++stage) {
    sizes.push_back(static_cast<int>(chunk(num_layers, num_stages, stage).size()));
  }
  return sizes;
}

Plan uniform_plan(const spec::ModelSpec& model, const spec::JobSpec& job, int world_size,
                  const LayerStrategy& strategy, int pp_degree, int num_microbatches,
                  ScheduleKind schedule, int stages_per_rank) {
  if (pp_degree < 1) throw ConfigError("[plan] pp_degree ", pp_degree, " must be at least 1");
  if (stages_per_rank == 0) stages_per_rank = traits(schedule).usual_stages_per_rank;
  if (stages_per_rank < 1 || stages_per_rank > model.num_layers()) {
    throw ConfigError("[plan] stages_per_rank ", stages_per_rank, " is outside 1 .. ",
                      model.num_layers(), ", the layers of model '", model.name, "'");
  }
  Plan plan;
  plan.model = model.name;
  plan.world_size = world_size;
  plan.global_batch = job.global_batch;
  plan.num_microbatches = num_microbatches;
  plan.precision = job.precision;
  plan.pipeline = {pp_degree, schedule,
                   even_stages(model.num_layers(), pp_degree * stages_per_rank)};
  for (const spec::LayerSpec& layer : model.layers) {
    plan.layers.push_back(strategy);
    const bool merge_whole =
        layer.kind == spec::LayerKind::kMerge && strategy.recompute == Recompute::kFull;
    if (layer.kind != spec::LayerKind::kBlock && !merge_whole)
      plan.layers.back().recompute = Recompute::kNone;
  }
  return plan;
}

std::string summarize(const Plan& plan) {
  const std::size_t count = plan.layers.size();
  if (count < 2) return count == 0 ? "no layers" : to_text(plan.layers[0]);
  std::string out = "embedding " + to_text(plan.layers.front());
  for (std::size_t begin = 1; begin + 1 < count;) {
    std::size_t end = begin;
    while (end + 1 < count && plan.layers[end] == plan.layers[begin]) ++end;
    out += " | " + describe_run(static_cast<int>(end - begin), plan.layers[begin]);
    begin = end;
  }
  return out + " | head " + to_text(plan.layers.back());
}

}  // namespace galvatron::plan
