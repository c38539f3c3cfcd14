// A complete answer to "how is this model trained on these ranks": one strategy per layer and one
// pipeline.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/plan/layer_strategy.h"
#include "galvatron/plan/schedule.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::plan {

struct Pipeline {
  int degree = 1;
  ScheduleKind schedule = ScheduleKind::k1F1B;
  // `degree` entries, each at least 1, summing to the number of layers.
  std::vector<int> layers_per_stage;
  bool operator==(const Pipeline&) const = default;
};

struct Plan {
  std::string model;  // name of the model it was made for
  int world_size = 1;
  std::int64_t global_batch = 1;
  int num_microbatches = 1;
  spec::Precision precision = spec::Precision::kBf16;
  Pipeline pipeline;
  std::vector<LayerStrategy> layers;  // one per entry of ModelSpec::layers
  // Free: the prediction, inputs' checksums, runner-ups. Never read back for meaning.
  OrderedJson search;

  int ranks_per_stage() const { return world_size / pipeline.degree; }
  // Data-parallel degree of a layer: ranks of its stage over the ways its sequence is split.
  int dp_degree(int layer) const;
  int stage_of_layer(int layer) const;
  Range layers_of_stage(int stage) const;  // layer indices
  // Samples of a microbatch; microbatches are balanced chunks of the global batch.
  Range samples_of_microbatch(int microbatch) const {
    return chunk(global_batch, num_microbatches, microbatch);
  }
};

// Layers per stage when `num_layers` are spread evenly: balanced chunks. REQUIRES: pp_degree > 0.
std::vector<int> even_stages(int num_layers, int pp_degree);

// The same strategy for every layer, layers spread evenly over the stages. Recompute applies to
// blocks only: embedding and head keep nothing that it could drop. Not yet checked.
Plan uniform_plan(const spec::ModelSpec& model, const spec::JobSpec& job, int world_size,
                  const LayerStrategy& strategy, int pp_degree = 1, int num_microbatches = 1,
                  ScheduleKind schedule = ScheduleKind::k1F1B);

// Plan JSON, layers run-length grouped. Reading rejects unknown keys and values out of range
// (ConfigError); it does not run check_plan.
Plan read_plan(const std::filesystem::path& path);
Plan plan_from_json(const Json& json, const std::string& source);
OrderedJson plan_to_json(const Plan& plan);
std::string plan_to_text(const Plan& plan);  // the same, laid out for a reader: one group per line
void write_plan(const std::filesystem::path& path, const Plan& plan);

// One-line summary of the strategies: "embedding tp2 | 12 x uly4 zero3 full | head tp2", for logs
// and tables.
std::string summarize(const Plan& plan);

}  // namespace galvatron::plan
