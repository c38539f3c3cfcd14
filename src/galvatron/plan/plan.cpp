#include "galvatron/plan/plan.h"

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

// "block" of "block.3"; "" of a layer between the first and the last whose name is not known.
std::string kind_of(std::int64_t layer, std::size_t count, const std::vector<std::string>& names) {
  if (names.empty()) {
    return layer == 0 ? "embedding" : layer + 1 == static_cast<std::int64_t>(count) ? "head" : "";
  }
  const std::string& name = names.at(static_cast<std::size_t>(layer));
  const std::size_t digits = name.find_last_not_of("0123456789") + 1;
  const bool numbered = digits > 1 && digits < name.size() && name[digits - 1] == '.';
  return numbered ? name.substr(0, digits - 1) : name;
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
  plan.shapes = spec::block_shapes(model);
  plan.world_size = world_size;
  plan.global_batch = job.global_batch;
  plan.num_microbatches = num_microbatches;
  plan.precision = job.precision;
  plan.communication = job.communication;
  plan.pipeline = {pp_degree, schedule,
                   even_stages(model.num_layers(), pp_degree * stages_per_rank)};
  for (const spec::LayerSpec& layer : model.layers) {
    plan.layers.push_back(fitted(strategy, layer.kind));
  }
  return plan;
}

std::vector<LayerRun> layer_runs(const Plan& plan, Range layers,
                                 const std::vector<std::string>& names) {
  std::vector<LayerRun> runs;
  const auto same = [&](std::int64_t a, std::int64_t b) {
    return plan.layers[static_cast<std::size_t>(a)] == plan.layers[static_cast<std::size_t>(b)] &&
           kind_of(a, plan.layers.size(), names) == kind_of(b, plan.layers.size(), names);
  };
  for (std::int64_t begin = layers.begin; begin < layers.end;) {
    std::int64_t end = begin + 1;
    while (end < layers.end && same(begin, end)) ++end;
    const std::string kind = kind_of(begin, plan.layers.size(), names);
    const bool single =
        names.empty() ? !kind.empty() : kind == names[static_cast<std::size_t>(begin)];
    const std::string count = std::to_string(end - begin) + " x";
    runs.push_back({{begin, end}, single ? kind : kind.empty() ? count : count + " " + kind});
    begin = end;
  }
  return runs;
}

std::string summarize(const Plan& plan, const std::vector<std::string>& names) {
  const auto count = static_cast<std::int64_t>(plan.layers.size());
  if (count < 2) return count == 0 ? "no layers" : to_text(plan.layers[0]);
  std::string out;
  for (const LayerRun& run : layer_runs(plan, {0, count}, names)) {
    out += (out.empty() ? "" : " | ") + run.name + " " +
           to_text(plan.layers[static_cast<std::size_t>(run.layers.begin)]);
  }
  return out;
}

}  // namespace galvatron::plan
