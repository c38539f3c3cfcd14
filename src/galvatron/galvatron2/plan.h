// Galvatron-2's plans: one degree per layer that is either tensor parallel or Ulysses, one
// vocabulary strategy, even stages by habit. Their JSON, and the way to and from our plans.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/plan/plan.h"

namespace galvatron::galvatron2 {

struct Strategy {
  int degree = 1;          // of tensor parallelism, or of Ulysses
  bool ulysses = false;    // only with degree > 1
  bool zero3 = false;      // else the plan's default_zero_stage
  bool recompute = false;  // the whole layer
  // Are TP ranks neighbours? Its search always says so, and its formulas take them to be.
  bool consecutive = true;
  int tp_degree() const { return ulysses ? 1 : degree; }
  int ulysses_degree() const { return ulysses ? degree : 1; }
  // Do both spread tokens and weights alike? What changes between two layers otherwise is a
  // redistribution.
  bool same_layout(const Strategy& other) const {
    return degree == other.degree && ulysses == other.ulysses && consecutive == other.consecutive;
  }
  bool operator==(const Strategy&) const = default;
};

// "tp4", "uly2 zero3 full", "dp".
std::string to_text(const Strategy& strategy);

struct Plan {
  int world_size = 1;
  int pp_degree = 1;
  std::int64_t global_batch = 1;
  int num_microbatches = 1;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B;
  int default_zero_stage = 2;  // 0, 2 or 3: of layers without zero3
  std::vector<int> layers_per_stage;
  std::vector<Strategy> layers;
  Strategy vocabulary;  // embedding and head; never recomputed

  int ranks_per_stage() const { return world_size / pp_degree; }
  // Data-parallel degree of a strategy.
  int dp_degree(const Strategy& strategy) const { return ranks_per_stage() / strategy.degree; }
  bool operator==(const Plan&) const = default;
};

// Neighbours in the list of layers, stage borders included, whose layouts differ.
int count_transitions(const Plan& plan);

// Remainder layers go to the last stage. REQUIRES: 1 <= pp_degree <= num_layers.
std::vector<int> default_stages(int num_layers, int pp_degree);

// Is it written by a search whose keys are pp_size, tp_size_enc, sp_size_enc?
bool has_later_names(const Json& plan);

// plan::Plan JSON. `world_size` fills in where the file has none (v2.4.0); 0: the file must have
// it. ConfigError for anything out of range, contradictory or unknown.
Plan read_plan(const std::filesystem::path& path, int world_size = 0);
Plan plan_from_json(const Json& json, const std::string& source, int world_size = 0);
OrderedJson plan_to_json(const Plan& plan);
void write_plan(const std::filesystem::path& path, const Plan& plan);

// The same plan in our terms: the first stage also holds the embedding, the last the head.
// The result is not yet checked.
plan::Plan to_our_plan(const Plan& plan, const std::string& model, spec::Precision precision);
// ConfigError naming the first layer that Galvatron-2 cannot express (ZeRO-1, selective recompute,
// TP with Ulysses, embedding or head on TP ranks that are no neighbours, different embedding and
// head, several defaults of ZeRO).
Plan from_our_plan(const plan::Plan& plan);
// Does Galvatron-2 have a word for the schedule?
bool has_schedule(plan::ScheduleKind kind);

}  // namespace galvatron::galvatron2
