#include "galvatron/plan/plan.h"

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

std::string describe_run(int count, const LayerStrategy& strategy) {
  return std::to_string(count) + " x " + to_text(strategy);
}

}  // namespace

int Plan::dp_degree(int layer) const {
  return ranks_per_stage() / layers.at(static_cast<std::size_t>(layer)).seq_degree();
}

int Plan::stage_of_layer(int layer) const {
  int end = 0;
  for (int stage = 0; stage < pipeline.degree; ++stage) {
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

std::vector<int> even_stages(int num_layers, int pp_degree) {
  std::vector<int> sizes;
  for (int stage = 0; stage < pp_degree; ++stage) {
    sizes.push_back(static_cast<int>(chunk(num_layers, pp_degree, stage).size()));
  }
  return sizes;
}

Plan uniform_plan(const spec::ModelSpec& model, const spec::JobSpec& job, int world_size,
                  const LayerStrategy& strategy, int pp_degree, int num_microbatches,
                  ScheduleKind schedule) {
  if (pp_degree < 1) throw ConfigError("[plan] pp_degree ", pp_degree, " must be at least 1");
  Plan plan;
  plan.model = model.name;
  plan.world_size = world_size;
  plan.global_batch = job.global_batch;
  plan.num_microbatches = num_microbatches;
  plan.precision = job.precision;
  plan.pipeline = {pp_degree, schedule, even_stages(model.num_layers(), pp_degree)};
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
