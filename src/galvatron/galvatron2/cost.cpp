#include "galvatron/galvatron2/cost.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::galvatron2 {
namespace {

constexpr double kContextMb = 1024;    // what CUDA and its libraries take
constexpr double kShardSlack = 0.003;  // of the states, not sharded

// Gradient reduction beside the backward: while both run, each is `slowdown` times slower.
double overlapped(double message_mb, double ms_per_mb, double backward_ms, double slowdown) {
  const double communication = message_mb * ms_per_mb * slowdown;
  const double compute = backward_ms * slowdown;
  if (communication > compute) return compute + message_mb * ms_per_mb - compute / slowdown;
  if (communication < compute) return communication + backward_ms - communication / slowdown;
  return compute;
}

// The same for embedding and head, where nothing is left to hide behind.
double hidden(double communication_ms, double compute_ms, double slowdown) {
  const double compute = compute_ms * slowdown;
  if (communication_ms > compute) return communication_ms;
  return communication_ms + (compute - communication_ms) / slowdown;
}

}  // namespace

std::int64_t CostModel::samples_per_rank(const Shape& shape, int degree) const {
  return shape.global_batch / shape.num_microbatches / (ranks(shape) / degree);
}

int CostModel::in_flight(const Shape& shape, int stage) const {
  if (shape.pp_degree == 1) return 1;
  if (job_.schedule == plan::ScheduleKind::kGPipe) return shape.num_microbatches;
  return shape.pp_degree - stage;
}

double CostModel::fixed_mb(const Shape& shape, int cap) const {
  if (cap == 0 || !job_.sequence_parallel || !job_.global_memory_buffer) return kContextMb;
  const double samples = static_cast<double>(shape.global_batch) / shape.num_microbatches /
                         (static_cast<double>(ranks(shape)) / cap);
  return kContextMb +
         samples * static_cast<double>(job_.hidden_size * job_.seq_length) * 4 / kMb / 2;
}

// Share of 4 x parameters that a rank keeps.
double CostModel::states_ratio(const Shape& shape, const Strategy& strategy) const {
  const int dp = ranks(shape) / strategy.degree;
  const bool zero3 = strategy.zero3 && dp > 1;
  const bool zero2 = !zero3 && dp > 1 && job_.default_zero_stage == 2;
  if (!zero2 && !zero3) return 1;
  const double shards = dp * strategy.ulysses_degree();
  const double e = 1 / shards + kShardSlack;
  const bool mixed = half();
  if (shape.num_microbatches == 1) {
    if (zero3) return e;
    return mixed ? 7.0 / 8 * e + 1.0 / 8 : 3.0 / 4 * e + 1.0 / 4;
  }
  if (job_.async_grad_reduce) {
    if (zero3) return mixed ? 7.0 / 8 * e + 1.0 / 8 : 3.0 / 4 * e + 1.0 / 4;
    return mixed ? 6.0 / 8 * e + 2.0 / 8 : 2.0 / 4 * e + 2.0 / 4;
  }
  if (zero3) return 5.0 / 4 * e;
  return mixed ? 5.0 / 4 * (7.0 / 8 * e + 1.0 / 8) : 3.0 / 4 * e + 1.0 / 4;
}

double CostModel::inverse_bandwidth(int group, bool strided) const {
  if (group == 1) return 0;
  return 1 / (strided ? profiles_.strided_bandwidth : profiles_.consecutive_bandwidth).at(group);
}

double CostModel::message_mb(double samples) const {
  return samples * static_cast<double>(job_.seq_length * job_.hidden_size) * bytes_per_value() /
         kMb;
}

// Per microbatch: 4 exchanges of Ulysses, or 6 gathers, each priced as half an all-reduce.
double CostModel::degree_collectives(const Strategy& strategy, double samples) const {
  if (strategy.degree == 1) return 0;
  const double mb = message_mb(samples);
  const double repeats = strategy.recompute ? 1.5 : 1;
  if (strategy.ulysses) return 4 * repeats * profiles_.all_to_all.at(strategy.degree).at(mb);
  return 6 * repeats * 0.5 * profiles_.all_reduce.at(strategy.degree).at(mb);
}

LayerCost CostModel::layer(const Shape& shape, const Strategy& strategy) const {
  const int dp = ranks(shape) / strategy.degree;
  const auto samples = static_cast<double>(samples_per_rank(shape, strategy.degree));
  const double parameter_mb = profiles_.parameter_mb / strategy.tp_degree();
  const double shards = dp * strategy.ulysses_degree();

  const double forward = profiles_.layer_forward.slope * (samples / strategy.degree) +
                         profiles_.layer_forward.intercept;
  if (!(forward > 0)) {
    throw ConfigError("[galvatron2 profile] the computation profile gives a forward of ", forward,
                      " ms for ", samples, " samples at degree ", strategy.degree);
  }
  const double backward = forward * (strategy.recompute ? 3 : 2);
  const double reduced_mb = 2 * (shards - 1) / shards * parameter_mb * half_if_mixed();
  const double ms_per_mb =
      inverse_bandwidth(dp * strategy.ulysses_degree(), strategy.tp_degree() > 1);
  double always = forward + degree_collectives(strategy, samples);
  if (strategy.zero3 && dp > 1) always += 0.5 * reduced_mb * ms_per_mb;
  if (shape.pp_degree > 1) {
    const double hop_mb = shape.pp_degree * 2 * samples *
                          static_cast<double>(job_.seq_length * job_.hidden_size) * 4 / kMb *
                          half_if_mixed();
    always += hop_mb / profiles_.p2p_bandwidth.at(shape.pp_degree) / job_.num_layers;
  }
  const double synced =
      dp > 1 ? overlapped(reduced_mb, ms_per_mb, backward, profiles_.overlap_slowdown) : backward;

  LayerCost out;
  out.sync_ms = always + synced;
  out.no_sync_ms = always + backward;
  out.memory.states_mb = 4 * parameter_mb * states_ratio(shape, strategy);
  if (strategy.recompute) {
    const bool split = strategy.ulysses || (strategy.degree > 1 && job_.sequence_parallel);
    out.memory.activation_mb =
        profiles_.recompute_activation_mb * samples / (split ? strategy.degree : 1);
  } else {
    out.memory.activation_mb = profiles_.activation_mb.at(strategy.degree) * samples;
  }
  return out;
}

// `ends`: how many of embedding and head are here, each with its gather.
EndCost CostModel::end(const Shape& shape, const Strategy& strategy, const OtherMemory& memory,
                       double forward_ms, int ends) const {
  const auto samples = static_cast<double>(samples_per_rank(shape, strategy.degree));
  const int shards = ranks(shape) / strategy.tp_degree();
  const bool zero3 = strategy.zero3 && ranks(shape) > strategy.degree;
  const double states = memory.model_states.at(strategy.tp_degree());
  const double reduce_ms = states / 4 * half_if_mixed() *
                           inverse_bandwidth(shards, strategy.tp_degree() > 1) * (shards - 1) /
                           shards;
  const double slowdown = profiles_.overlap_slowdown;
  double always = hidden(zero3 ? 0.5 * reduce_ms : 0, forward_ms, slowdown);
  if (strategy.tp_degree() > 1) {
    always += ends * 0.5 * profiles_.all_reduce.at(strategy.degree).at(message_mb(samples));
  }
  const double backward_factor = zero3 ? 1 : 0.5;
  EndCost out;
  out.sync_ms = always + hidden(backward_factor * reduce_ms, 2 * forward_ms, slowdown);
  out.no_sync_ms = always + hidden((backward_factor - 0.5) * reduce_ms, 2 * forward_ms, slowdown);
  out.memory.states_mb = states * states_ratio(shape, strategy);
  out.memory.activation_mb = memory.activation.at(strategy.degree) * samples;
  return out;
}

VocabularyCost CostModel::vocabulary(const Shape& shape, const Strategy& strategy) const {
  const auto samples = static_cast<double>(samples_per_rank(shape, strategy.degree));
  const double forward = profiles_.other_forward.slope * (samples / strategy.degree) +
                         profiles_.other_forward.intercept;
  if (!(forward >= 0)) {
    throw ConfigError("[galvatron2 profile] the computation profile gives ", forward,
                      " ms for embedding and head of ", samples, " samples");
  }
  if (shape.pp_degree == 1) return {end(shape, strategy, profiles_.other_alone, forward, 2), {}};
  return {end(shape, strategy, profiles_.other_first, forward / 2, 1),
          end(shape, strategy, profiles_.other_last, forward / 2, 1)};
}

double pipeline_ms(std::span<const StageTime> stages, int num_microbatches) {
  const int m = num_microbatches, p = static_cast<int>(stages.size());
  double sum = 0, reduction = 0;
  for (const StageTime& stage : stages) {
    sum += stage.no_sync_ms;
    reduction = std::max(reduction, stage.layer_sync_ms - sum);
  }
  const double first = stages.front().no_sync_ms, rest = sum - first;
  const double last_decides = sum + (m - 1) * stages.back().no_sync_ms;
  const double first_decides =
      std::max(std::min(p - 1, m - 1) * first, rest) + first * std::max(0, m + 1 - p);
  return std::max(last_decides, first_decides) + reduction;
}

Score score(const Job& job, const Profiles& profiles, const Plan& plan) {
  GALV_CHECK(plan.world_size == job.world_size && plan.schedule == job.schedule);
  GALV_CHECK(static_cast<int>(plan.layers.size()) == job.num_layers);
  const CostModel model(job, profiles);
  const Shape shape{plan.global_batch, plan.num_microbatches, plan.pp_degree};
  // The cap of the search that finds this plan: its largest degree, if any is tensor parallel.
  bool any_tp = plan.vocabulary.tp_degree() > 1;
  int cap = plan.vocabulary.degree;
  for (const Strategy& layer : plan.layers) {
    any_tp = any_tp || layer.tp_degree() > 1;
    cap = std::max(cap, layer.degree);
  }
  const double fixed = model.fixed_mb(shape, any_tp ? cap : 0);
  const VocabularyCost ends = model.vocabulary(shape, plan.vocabulary);

  Score out;
  std::size_t layer = 0;
  for (int stage = 0; stage < plan.pp_degree; ++stage) {
    const int in_flight = model.in_flight(shape, stage);
    StageTime time;
    double mb = fixed;
    const auto add_end = [&](const EndCost& end) {
      time.no_sync_ms += end.no_sync_ms;
      mb += end.memory.at(in_flight);
    };
    if (stage == 0) add_end(ends.first);
    if (stage == plan.pp_degree - 1 && stage > 0) add_end(ends.last);
    for (int i = 0; i < plan.layers_per_stage[static_cast<std::size_t>(stage)]; ++i) {
      const LayerCost cost = model.layer(shape, plan.layers[layer++]);
      time.no_sync_ms += cost.no_sync_ms;
      time.layer_sync_ms += cost.sync_ms;
      mb += cost.memory.at(in_flight);
    }
    out.stages.push_back(time);
    out.stage_mb.push_back(mb);
  }
  out.step_ms = pipeline_ms(out.stages, plan.num_microbatches);
  out.samples_per_second = static_cast<double>(plan.global_batch) / out.step_ms * 1000;
  return out;
}

double limit_mb(Bytes budget) {
  const double mb = static_cast<double>(budget.value) / kMb;
  return budget.value >= gibibytes(21).value ? 0.8 * mb : mb;
}

}  // namespace galvatron::galvatron2
