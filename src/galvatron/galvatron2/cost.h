// Galvatron-2's own formulas of time and memory, so that its profiles give its own figures:
// docs/design/search.md, section 5. Our own model is cost/cost_tables.h.
//
// Times are ms, memory is MB of 2^20 bytes, as in its files.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/galvatron2/plan.h"
#include "galvatron/galvatron2/profiles.h"
#include "galvatron/spec/job_spec.h"

namespace galvatron::galvatron2 {

// Its MB, in bytes.
inline constexpr double kMb = 1 << 20;
// Scores and times that differ by less than this share are equal.
inline constexpr double kTie = 1e-11;

// What its formulas need to know beside profiles.
struct Job {
  int world_size = 8;
  int num_layers = 32;  // blocks
  std::int64_t hidden_size = 4096;
  std::int64_t seq_length = 2048;
  spec::Precision precision = spec::Precision::kBf16;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B;
  int default_zero_stage = 2;  // 0 or 2
  // Gradients are summed locally and reduced once per step; else every microbatch.
  bool async_grad_reduce = true;
  bool sequence_parallel = true;
  bool global_memory_buffer = true;  // charges the buffer of sequence-parallel gathers
};

// What is common to all layers of a plan.
struct Shape {
  std::int64_t global_batch = 1;
  int num_microbatches = 1;
  int pp_degree = 1;
  bool operator==(const Shape&) const = default;
};

// Memory of a layer or an end of the model on a stage: states, and activations of each microbatch
// in flight.
struct Memory {
  double states_mb = 0;
  double activation_mb = 0;
  double at(int in_flight) const { return states_mb + activation_mb * in_flight; }
};

struct LayerCost {
  double sync_ms = 0;     // one microbatch, gradients reduced
  double no_sync_ms = 0;  // every microbatch but the last
  Memory memory;
};

// Embedding and head. Without a pipeline both are in `first` and `last` is zero.
struct EndCost {
  double sync_ms = 0;
  double no_sync_ms = 0;
  Memory memory;
};
struct VocabularyCost {
  EndCost first, last;
};

class CostModel {
 public:
  // References: the owner outlives the model.
  CostModel(const Job& job, const Profiles& profiles) : job_(job), profiles_(profiles) {}

  // REQUIRES: degrees divide; at least one sample per rank (samples_per_rank() >= 1). ConfigError
  // for a missing profile entry.
  LayerCost layer(const Shape& shape, const Strategy& strategy) const;
  VocabularyCost vocabulary(const Shape& shape, const Strategy& strategy) const;

  // Whole samples of a microbatch on one rank: what does not divide is dropped, as there.
  std::int64_t samples_per_rank(const Shape& shape, int degree) const;
  // Microbatches that a stage holds: 1 without a pipeline, 1F1B pp_degree - stage, GPipe all.
  int in_flight(const Shape& shape, int stage) const;
  // Every stage's fixed charge: context, and the gather buffer when any layer is tensor parallel.
  // `cap`: the largest degree that the buffer must serve; 0: no buffer.
  double fixed_mb(const Shape& shape, int cap) const;

 private:
  double bytes_per_value() const { return half() ? 2 : 4; }
  bool half() const {
    return job_.precision == spec::Precision::kBf16 || job_.precision == spec::Precision::kFp16;
  }
  double half_if_mixed() const { return half() ? 0.5 : 1; }
  int ranks(const Shape& shape) const { return job_.world_size / shape.pp_degree; }
  double states_ratio(const Shape& shape, const Strategy& strategy) const;
  double inverse_bandwidth(int group, bool strided) const;
  double message_mb(double samples) const;
  double degree_collectives(const Strategy& strategy, double samples) const;
  EndCost end(const Shape& shape, const Strategy& strategy, const OtherMemory& memory,
              double forward_ms, int ends) const;

  const Job& job_;
  const Profiles& profiles_;
};

// One stage: what its pipeline formula sees. ms.
struct StageTime {
  double no_sync_ms = 0;     // one microbatch, embedding or head included
  double layer_sync_ms = 0;  // one microbatch with gradient reduction, layers only
};
// ms of one step. The first and the last stage decide; a slow middle stage costs only its share of
// the sum.
double pipeline_ms(std::span<const StageTime> stages, int num_microbatches);

struct Score {
  double step_ms = 0;
  double samples_per_second = 0;
  std::vector<double> stage_mb;
  std::vector<StageTime> stages;
};
// REQUIRES: the plan fits the job (world size, layers), every degree divides.
Score score(const Job& job, const Profiles& profiles, const Plan& plan);

// The part of a memory budget that it plans with: 20 % less from 21 GB on (GB is 2^30 here).
double limit_mb(Bytes budget);

}  // namespace galvatron::galvatron2
