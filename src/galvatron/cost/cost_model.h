// What every estimate needs, in one value. Our own cost model: pure arithmetic over profile tables,
// no torch, no clocks, no global state. Equations and sources: docs/design/cost_model.md.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/plan/plan.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/plan/step_kinds.h"
#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/model_profile.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::cost {

// References: the owner outlives every call. The profile is prepared for the model, job.seq_length
// and job.precision (ModelProfile::prepare).
struct CostInputs {
  const spec::ModelSpec& model;
  spec::JobSpec job;
  const profiles::HardwareProfile& hardware;
  const profiles::ModelProfile& profile;
  // Of a calibration: what each kind of work takes over what the tables say. layer_time.cpp, where
  // every kind is timed, counts them in; nothing else does.
  plan::StepKinds factors{1};
};

// The part of a plan that is common to all its layers.
struct PipelineShape {
  int pp_degree = 1;  // pipeline ranks
  int ranks_per_stage = 1;
  int num_microbatches = 1;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B;
  int stages_per_rank = 1;  // more than one under a schedule for that
  int world_size() const { return pp_degree * ranks_per_stage; }
  int num_stages() const { return pp_degree * stages_per_rank; }
  plan::RankLayout layout(const plan::LayerStrategy& strategy) const {
    return {strategy, ranks_per_stage};
  }
  bool operator==(const PipelineShape&) const = default;
};
PipelineShape pipeline_shape(const plan::Plan& plan);

// Microbatches whose activations stage `stage` holds at its peak, as the schedule's list of steps
// has it: 1F1B min(m, stages - stage), GPipe m. REQUIRES: one stage per pipeline rank. Makes the
// list: ask once and keep the answer.
int microbatches_in_flight(const PipelineShape& shape, int stage);

// A moment of a pipeline rank's step: which of its chunks runs, and how many microbatches are in
// flight in each, the running one included.
struct FlightMoment {
  std::vector<int> in_flight;
  int running = 0;
  bool operator==(const FlightMoment&) const = default;
};
// The moments that can be a rank's memory peak: those with no other that has as many microbatches
// in flight in every chunk and runs the same one. One alone with one stage per rank. Of the list of
// steps, too.
std::vector<FlightMoment> flight_moments(const PipelineShape& shape, int pp_rank);
std::vector<std::vector<FlightMoment>> flight_moments(const PipelineShape& shape);  // of all ranks

// Local ranks that compute at the same time, on average over a step: those of a node, less the
// pipeline's bubble: m v / (m v + p - 1) with v stages per rank. On an oversubscribed machine a
// bubble costs little, because the others run faster meanwhile.
double computing_ranks(const PipelineShape& shape, const profiles::HardwareProfile& hardware);

// The sizes of a step's microbatches: balanced chunks of the global batch differ by at most one.
struct MicrobatchSizes {
  std::int64_t small = 0, large = 0;  // samples
  int num_small = 0, num_large = 0;   // num_small is 0 when all are equal
  // Mean over the step's microbatches of a number that depends on the size.
  double mean(double of_large, double of_small) const {
    if (num_small == 0) return of_large;
    return (num_large * of_large + num_small * of_small) / (num_large + num_small);
  }
};
MicrobatchSizes microbatch_sizes(std::int64_t global_batch, int num_microbatches);

// What one rank of a layer works on in a microbatch of `samples`: the fullest rank's share.
struct LocalWork {
  std::int64_t samples = 0;  // after data parallelism
  std::int64_t block_tokens =
      0;  // of each sample inside the TP region: the sequence over ulysses_degree
  // Samples to look up in the profile: Ulysses' share of the tokens is the same share of the work.
  double profile_samples = 0;
};
LocalWork local_work(const CostInputs& inputs, const PipelineShape& shape, int layer,
                     const plan::LayerStrategy& strategy, std::int64_t samples);

// Communication by the slowest links that it uses. What uses links inside nodes does not slow what
// uses those between them.
struct ByLinks {
  Milliseconds intra_node, inter_node;
  Milliseconds total() const { return intra_node + inter_node; }
  bool crosses_nodes() const { return inter_node.value > 0; }  // of one collective
  ByLinks& operator+=(const ByLinks& other) {
    intra_node += other.intra_node;
    inter_node += other.inter_node;
    return *this;
  }
};
constexpr ByLinks operator*(double n, const ByLinks& time) {
  return {n * time.intra_node, n * time.inter_node};
}
// Of a group of this shape.
ByLinks by_links(const profiles::HardwareProfile& hardware, profiles::GroupShape shape, double ms);

// What is left of communication beside a layer's own collectives: what uses other links has run.
double left_beside(const ByLinks& communication, const ByLinks& own);

// Communication that runs beside compute, and what they cost each other; of several collectives
// their mean over time.
struct Traffic {
  ByLinks time;
  profiles::Overlap overlap;
  Traffic& operator+=(const Traffic& other);
};

}  // namespace galvatron::cost
