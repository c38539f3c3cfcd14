// A complete answer to "how is this model trained on these ranks": one strategy per layer and one
// pipeline.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/plan/layer_strategy.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/plan/schedule.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/layer_shapes.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::plan {

struct Pipeline {
  int degree = 1;  // pipeline ranks
  ScheduleKind schedule = ScheduleKind::k1F1B;
  // Each at least 1, summing to the number of layers: `degree` entries, or a multiple of it under a
  // schedule for several stages per rank, where stage s lies on pipeline rank s % degree.
  std::vector<int> layers_per_stage;

  int num_stages() const { return static_cast<int>(layers_per_stage.size()); }
  int stages_per_rank() const { return num_stages() / degree; }
  int pp_rank_of_stage(int stage) const { return stage % degree; }
  // Ascending; entry c is chunk c of the schedule's steps.
  std::vector<int> stages_of_rank(int pp_rank) const;
  bool operator==(const Pipeline&) const = default;
};

struct Plan {
  std::string model;  // name of the model it was made for
  // spec::block_shapes() of that model: it is a plan for every model that has them. Empty: unknown.
  spec::Shapes shapes;
  int world_size = 1;
  std::int64_t global_batch = 1;
  int num_microbatches = 1;
  spec::Precision precision = spec::Precision::kBf16;
  spec::Communication communication;
  Pipeline pipeline;
  std::vector<LayerStrategy> layers;  // one per entry of ModelSpec::layers
  // Free: the prediction, inputs' checksums, runner-ups. Never read back for meaning.
  OrderedJson search;

  // Ranks of a pipeline rank, which are those of each of its stages.
  int ranks_per_stage() const { return world_size / pipeline.degree; }
  int pp_rank_of(int rank) const { return rank / ranks_per_stage(); }
  RankSet stage_ranks(int pp_rank) const {
    return ranks_of(pp_rank * ranks_per_stage(), {ranks_per_stage(), 1});
  }
  const LayerStrategy& strategy(int layer) const { return layers[static_cast<std::size_t>(layer)]; }
  // The layer's strategy on the ranks of its stage.
  RankLayout layout(int layer) const { return {strategy(layer), ranks_per_stage()}; }
  int dp_degree(int layer) const { return layout(layer).dp_degree(); }
  int stage_of_layer(int layer) const;
  Range layers_of_stage(int stage) const;  // layer indices
  // Samples of a microbatch; microbatches are balanced chunks of the global batch.
  Range samples_of_microbatch(int microbatch) const {
    return chunk(global_batch, num_microbatches, microbatch);
  }
};

// Layers per stage when `num_layers` are spread evenly: balanced chunks. REQUIRES: num_stages > 0.
std::vector<int> even_stages(int num_layers, int num_stages);

// The same strategy for every layer, as far as its kind can have it (fitted()), layers spread
// evenly over the stages. `stages_per_rank` 0: as many as the schedule usually has. Not yet
// checked.
Plan uniform_plan(const spec::ModelSpec& model, const spec::JobSpec& job, int world_size,
                  const LayerStrategy& strategy, int pp_degree = 1, int num_microbatches = 1,
                  ScheduleKind schedule = ScheduleKind::k1F1B, int stages_per_rank = 0);

// Plan JSON, layers run-length grouped. Reading rejects unknown keys and values out of range
// (ConfigError); it does not run check_plan.
Plan read_plan(const std::filesystem::path& path);
Plan plan_from_json(const Json& json, const std::string& source);
OrderedJson plan_to_json(const Plan& plan);
std::string plan_to_text(const Plan& plan);  // the same, laid out for a reader: one group per line
void write_plan(const std::filesystem::path& path, const Plan& plan);

// The fields of a strategy out of an object's keys, defaults where they are absent. ConfigError for
// values out of range. `options`: only those that are supported; a plan file names all.
enum class FieldsOf { kPlanFile, kOptions };
LayerStrategy read_strategy(JsonReader& reader, FieldsOf fields = FieldsOf::kPlanFile);

// The description of the fields (kStrategyFields): [{"name", "default", "help", "label",
// "supported", "splits_sequence", and "least" and "most" of numbers, "choices" of enums}].
OrderedJson strategy_fields_to_json();

// Neighbouring layers of one kind and one strategy, and what tables and summaries call them:
// "embedding", "12 x block". `names`: ModelSpec::layer_names(); where they are not known, the first
// and the last layer are "embedding" and "head", as in every model, and between are "12 x".
struct LayerRun {
  Range layers;
  std::string name;
};
std::vector<LayerRun> layer_runs(const Plan& plan, Range layers,
                                 const std::vector<std::string>& names = {});

// One-line summary of the strategies: "embedding tp2 | 12 x block uly4 zero3 full | head tp2", for
// logs and tables.
std::string summarize(const Plan& plan, const std::vector<std::string>& names = {});

}  // namespace galvatron::plan
