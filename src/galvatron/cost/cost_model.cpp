#include "galvatron/cost/cost_model.h"

#include <algorithm>
#include <cmath>

#include "galvatron/plan/schedule_passes.h"

namespace galvatron::cost {

PipelineShape pipeline_shape(const plan::Plan& plan) {
  return {plan.pipeline.degree, plan.ranks_per_stage(), plan.num_microbatches,
          plan.pipeline.schedule, plan.pipeline.stages_per_rank()};
}

namespace {

bool covers(const FlightMoment& a, const FlightMoment& b) {
  return a.running == b.running &&
         std::equal(a.in_flight.begin(), a.in_flight.end(), b.in_flight.begin(),
                    [](int of_a, int of_b) { return of_a >= of_b; });
}

void add_moment(std::vector<FlightMoment>& moments, const FlightMoment& moment) {
  if (std::any_of(moments.begin(), moments.end(),
                  [&](const FlightMoment& known) { return covers(known, moment); })) {
    return;
  }
  std::erase_if(moments, [&](const FlightMoment& known) { return covers(moment, known); });
  moments.push_back(moment);
}

// A step of so many microbatches has all the moments of a longer one of a steady schedule: its
// middle repeats with every group of pp_degree microbatches. Where a rank has several stages,
// groups of more than that keep their size.
int enough_microbatches(const PipelineShape& shape) {
  const int p = shape.pp_degree, m = shape.num_microbatches;
  constexpr int kGroups = 4;
  const int spare = m % p, groups = m / p;
  const bool same_groups = spare == 0 || shape.stages_per_rank == 1;
  if (!plan::traits(shape.schedule).steady || !same_groups || groups <= kGroups) return m;
  return kGroups * p;
}

// With all the moments of the whole list.
std::vector<plan::Step> shortest_list(const PipelineShape& shape, int pp_rank) {
  return plan::make_schedule(shape.schedule, pp_rank, shape.pp_degree, enough_microbatches(shape),
                             shape.stages_per_rank);
}

}  // namespace

int microbatches_in_flight(const PipelineShape& shape, int stage) {
  return plan::max_in_flight(shortest_list(shape, stage));
}

std::vector<FlightMoment> flight_moments(const PipelineShape& shape, int pp_rank) {
  if (shape.stages_per_rank == 1) return {{{microbatches_in_flight(shape, pp_rank)}, 0}};
  std::vector<FlightMoment> moments;
  FlightMoment now{std::vector<int>(static_cast<std::size_t>(shape.stages_per_rank), 0), 0};
  for (const plan::Step& step : shortest_list(shape, pp_rank)) {
    if (!plan::is_compute(step.action)) continue;
    int& in_flight = now.in_flight[static_cast<std::size_t>(step.chunk)];
    now.running = step.chunk;
    const bool forward = step.action == plan::Action::kForward;
    if (forward) ++in_flight;
    add_moment(moments, now);
    if (!forward) --in_flight;
  }
  return moments;
}

std::vector<std::vector<FlightMoment>> flight_moments(const PipelineShape& shape) {
  std::vector<std::vector<FlightMoment>> out;
  for (int rank = 0; rank < shape.pp_degree; ++rank) out.push_back(flight_moments(shape, rank));
  return out;
}

double computing_ranks(const PipelineShape& shape, const profiles::HardwareProfile& hardware) {
  const double local = std::min(shape.world_size(), hardware.ranks_per_node);
  const double m = static_cast<double>(shape.num_microbatches) * shape.stages_per_rank;
  return std::max(1.0, local * m / (m + shape.pp_degree - 1));
}

MicrobatchSizes microbatch_sizes(std::int64_t global_batch, int num_microbatches) {
  MicrobatchSizes out;
  out.small = global_batch / num_microbatches;
  out.large = largest_chunk(global_batch, num_microbatches);
  out.num_large = static_cast<int>(global_batch - out.small * num_microbatches);
  out.num_small = num_microbatches - out.num_large;
  if (out.small == out.large) std::swap(out.num_small, out.num_large);
  return out;
}

LocalWork local_work(const CostInputs& inputs, const PipelineShape& shape, int layer,
                     const plan::LayerStrategy& strategy, std::int64_t samples) {
  const std::int64_t length = inputs.model.streams_of(layer)[0].length(inputs.job.seq_length);
  const int dp = shape.layout(strategy).dp_degree();
  LocalWork work;
  work.samples = largest_chunk(samples, dp);
  work.block_tokens = largest_chunk(length, strategy.ulysses_degree);
  work.profile_samples = static_cast<double>(work.samples) *
                         static_cast<double>(work.block_tokens) / static_cast<double>(length);
  return work;
}

ByLinks by_links(const profiles::HardwareProfile& hardware, profiles::GroupShape shape, double ms) {
  return hardware.crosses_nodes(shape) ? ByLinks{{}, {ms}} : ByLinks{{ms}, {}};
}

double left_beside(const ByLinks& communication, const ByLinks& own) {
  return std::max(0.0, communication.intra_node.value - own.inter_node.value) +
         std::max(0.0, communication.inter_node.value - own.intra_node.value);
}

Traffic& Traffic::operator+=(const Traffic& other) {
  const double mine = time.total().value, more = other.time.total().value;
  if (more <= 0) return *this;
  const auto mean = [&](double a, double b) { return (mine * a + more * b) / (mine + more); };
  overlap = {mean(overlap.compute, other.overlap.compute),
             mean(overlap.communication, other.overlap.communication)};
  time += other.time;
  return *this;
}

}  // namespace galvatron::cost
