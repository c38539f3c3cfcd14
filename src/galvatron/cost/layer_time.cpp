#include "galvatron/cost/layer_time.h"

#include <algorithm>
#include <numeric>

#include "galvatron/cost/layer_collectives.h"

namespace galvatron::cost {
namespace {

using plan::StepKind;
using profiles::Collective;
using profiles::GroupShape;

GroupShape group(const plan::RankLine& line) { return {line.size, line.stride}; }

// Collectives of a layer's parameter units, each alone.
class UnitTimer {
 public:
  UnitTimer(const CostInputs& inputs, const PipelineShape& shape,
            const plan::LayerStrategy& strategy)
      : inputs_(inputs),
        zero_stage_(strategy.zero_stage),
        tp_line_(shape.layout(strategy).tp_line()),
        // Copies of a tied weight are taken to lie on the first and the last pipeline rank.
        ends_{2, (shape.pp_degree - 1) * shape.ranks_per_stage},
        compute_bytes_(spec::compute_bytes(inputs.job.precision)),
        state_bytes_(spec::state_bytes(inputs.job.precision)),
        reduced_bytes_(spec::reduced_bytes(inputs.job.precision, inputs.job.communication)) {}

  int zero_stage(const plan::UnitSpec& unit) const { return unit.zero_stage(zero_stage_); }
  bool reduces_each(const plan::UnitSpec& unit) const {
    return inputs_.job.communication.reduces_each(zero_stage(unit));
  }
  std::int64_t owned(const plan::UnitSpec& unit) const { return unit.owned(zero_stage_); }

  // Parameters made whole.
  Traffic gather(const plan::UnitSpec& unit) const {
    const StepKind kind = zero_stage(unit) >= 3 ? StepKind::kZero : StepKind::kParameters;
    return traffic(kind, Collective::kAllGather, unit.shards, unit.elements * compute_bytes_);
  }
  Traffic reduce(const plan::UnitSpec& unit) const {
    const auto kind = zero_stage(unit) == 0 ? Collective::kAllReduce : Collective::kReduceScatter;
    return traffic(reduces_each(unit) ? StepKind::kZero : StepKind::kGradients, kind, unit.shards,
                   unit.elements * reduced_bytes_);
  }
  Traffic spread(const plan::UnitSpec& unit) const {
    if (zero_stage(unit) == 0) return {};
    return traffic(StepKind::kGradients, Collective::kAllReduce, unit.copies,
                   owned(unit) * reduced_bytes_);
  }
  // Ranks that divide the work on whole matrices.
  const plan::RankLine& sharers(const plan::UnitSpec& unit) const {
    return zero_stage(unit) == 0 ? unit.replicas : unit.shards;
  }
  // Their directions made whole, by each what it works on over the TP ranks too, and back again.
  double matrices(const plan::UnitSpec& unit) const {
    if (unit.matrix_elements == 0) return 0;
    const std::int64_t bytes = unit.matrix_elements * state_bytes_;
    double out = 0;
    if (unit.tp_divided) {
      out +=
          time(Collective::kAllReduce, group(tp_line_), bytes * tp_line_.size / sharers(unit).size);
    }
    if (zero_stage(unit) == 0)
      return out + time(Collective::kAllReduce, group(unit.replicas), bytes);
    return out + time(Collective::kAllGather, group(unit.shards), bytes) +
           time(Collective::kReduceScatter, group(unit.shards), bytes);
  }
  // Sums of squares of rows and columns, in fp64.
  double factors(const plan::UnitSpec& unit) const {
    constexpr std::int64_t kSumBytes = 8;
    double out = 0;
    if (zero_stage(unit) > 0)
      out += time(Collective::kAllReduce, group(unit.shards), unit.factor_elements * kSumBytes);
    if (unit.tp_divided)
      out += time(Collective::kAllReduce, group(tp_line_), unit.factor_elements * kSumBytes);
    return out;
  }
  // The owned parts of gradients are summed.
  double tie(const plan::UnitSpec& unit) const {
    if (!unit.has_twins) return 0;
    return factor(StepKind::kGradients) *
           time(Collective::kAllReduce, ends_, owned(unit) * state_bytes_);
  }

 private:
  double factor(StepKind kind) const { return inputs_.factors[kind]; }
  double time(Collective kind, GroupShape group, std::int64_t bytes) const {
    return inputs_.hardware.group_time(kind, group, Bytes{bytes}).value;
  }

  Traffic traffic(StepKind step, Collective kind, const plan::RankLine& line,
                  std::int64_t bytes) const {
    const double ms = factor(step) * time(kind, group(line), bytes);
    return {by_links(inputs_.hardware, group(line), ms),
            inputs_.hardware.overlap(kind, group(line))};
  }

  const CostInputs& inputs_;
  int zero_stage_;
  plan::RankLine tp_line_;
  GroupShape ends_;
  std::int64_t compute_bytes_, state_bytes_, reduced_bytes_;
};

// One layer under one strategy: what all of its formulas share.
class LayerTimer {
 public:
  LayerTimer(const CostInputs& inputs, const PipelineShape& shape, int layer,
             const plan::LayerStrategy& strategy, const ParamUnits& units, std::int64_t samples)
      : inputs_(inputs),
        shape_(shape),
        spec_(inputs.model.layer(layer)),
        layer_(layer),
        strategy_(strategy),
        microbatch_samples_(samples),
        work_(local_work(inputs, shape, layer, strategy, samples)),
        units_(units),
        unit_timer_(inputs, shape, strategy) {}

  Milliseconds compute() const {
    LayerTime out;
    add_compute(out);
    return out.forward.compute + out.backward.compute;
  }

  LayerTime time() const {
    LayerTime out;
    add_compute(out);
    add_layer_collectives(out);
    add_parameter_collectives(out);
    add_step_costs(out);
    return out;
  }

 private:
  bool is(spec::LayerKind kind) const { return spec_.kind == kind; }
  double factor(StepKind kind) const { return inputs_.factors[kind]; }

  double collective(Collective kind, GroupShape group, std::int64_t bytes) const {
    return inputs_.hardware.group_time(kind, group, Bytes{bytes}).value;
  }

  // The head's forward runs inside the backward step.
  void add_compute(LayerTime& out) const {
    const profiles::LayerMeasurement cost =
        inputs_.profile.lookup(spec_.type, strategy_.tp_degree, work_.profile_samples);
    // Both profiles' times are those of their machine in some moment.
    const double slowdown =
        contention(computing_ranks(shape_, inputs_.hardware)) *
        profiles::relative_pace(inputs_.profile.provenance, inputs_.hardware.provenance);
    const double exchanges = strategy_.ulysses_degree > 1 ? 1 : 0;
    const Milliseconds forward = slowdown * (cost.forward + exchanges * cost.ulysses_forward);
    const double backward = factor(StepKind::kBackward), again = factor(StepKind::kRecompute);
    out.backward.compute =
        backward * slowdown * (cost.backward + exchanges * cost.ulysses_backward);
    if (is(spec::LayerKind::kHead)) {
      out.backward.compute += backward * forward;
      return;
    }
    out.forward.compute = factor(StepKind::kForward) * forward;
    if (strategy_.recompute == plan::Recompute::kFull) out.recompute = again * forward;
    if (strategy_.recompute == plan::Recompute::kSelective) {
      out.recompute = again * slowdown * cost.selective_recompute;
    }
    out.backward.compute += out.recompute;
  }

  double contention(double ranks) const {
    const profiles::Contention& own = inputs_.profile.contention(spec_.type);
    return own.empty() ? inputs_.hardware.compute_slowdown(ranks)
                       : profiles::slowdown_of(own, ranks);
  }

  struct Waits {
    ByLinks tp, ulysses;
  };
  Waits waits(const std::vector<LayerCollective>& list) const {
    Waits out;
    for (const LayerCollective& one : list) {
      const double ms = factor(one.of_tp ? StepKind::kTp : StepKind::kUlysses) * one.count *
                        collective(one.kind, one.group, one.bytes);
      (one.of_tp ? out.tp : out.ulysses) += by_links(inputs_.hardware, one.group, ms);
    }
    return out;
  }

  // Collectives inside the layer: nothing hides them here. Where something does, a collective
  // comes in as many pieces as there are ranks, of which one has no product to run beside.
  double wait(const Waits& waits, PhaseTime& phase) const {
    const double compute = phase.compute.value;
    const double pieces = is(spec::LayerKind::kBlock) ? 1 - 1.0 / strategy_.tp_degree : 0;
    const double all = waits.tp.total().value;
    const double beside = inputs_.hardware.tp_overlap * pieces * all;
    const profiles::Overlap overlap =
        inputs_.hardware.overlap(Collective::kAllGather, {strategy_.tp_degree, 1});
    const double slowed = overlap.together_ms(compute, beside) - compute;
    const double left = all - beside + slowed;
    phase.inside = all > 0 ? (left / all) * waits.tp : ByLinks{};
    phase.inside += waits.ulysses;
    phase.exposed = phase.inside.total();
    phase.hidden = Milliseconds{std::max(0.0, beside - slowed)};
    return left;
  }

  void add_layer_collectives(LayerTime& out) const {
    const LayerCollectives list =
        layer_collectives(inputs_, shape_, layer_, strategy_, microbatch_samples_);
    out.tp = Milliseconds{wait(waits(list.forward), out.forward) +
                          wait(waits(list.backward), out.backward)};
  }

  // What is done once a step is done where the unit is held.
  template <typename Cost>
  auto of_held_units(Cost cost) const {
    decltype(cost(plan::UnitSpec{})) total{};
    for (const plan::UnitSpec& unit : units_) {
      if (!unit.held_in_front) total += cost(unit);
    }
    return total;
  }

  struct Microbatch {
    Traffic gather, reduce;
    Traffic both() const { return Traffic(gather) += reduce; }
  };
  Microbatch microbatch_collectives() const {
    Microbatch out;
    for (const plan::UnitSpec& unit : units_) {
      const int zero_stage = unit_timer_.zero_stage(unit);
      if (zero_stage >= 3) out.gather += unit_timer_.gather(unit);
      if (unit_timer_.reduces_each(unit)) out.reduce += unit_timer_.reduce(unit);
    }
    return out;
  }

  // Every microbatch: ZeRO-3 gathers parameters ahead, ZeRO-2 and 3 reduce gradients behind. The
  // neighbour's compute that hides them is taken to be as long as this layer's own.
  void add_parameter_collectives(LayerTime& out) const {
    const Microbatch parameters = microbatch_collectives();
    if (layer_ == 0) {
      // Nothing runs before the first layer's forward, nor after its backward.
      out.forward.exposed += parameters.gather.time.total();
      hide(out.backward, parameters.gather);
      out.backward.exposed += parameters.reduce.time.total();
      return;
    }
    if (!is(spec::LayerKind::kHead)) hide(out.forward, parameters.gather);
    hide(out.backward, parameters.both());
  }

  // Behind the layer's own collectives on other links, and behind its compute.
  void hide(PhaseTime& phase, const Traffic& traffic) const {
    const double compute = phase.compute.value;
    const double together =
        traffic.overlap.together_ms(compute, left_beside(traffic.time, phase.inside));
    const double exposed = together - compute;
    phase.exposed += Milliseconds{exposed};
    phase.hidden += Milliseconds{std::max(0.0, traffic.time.total().value - exposed)};
  }

  void add_step_costs(LayerTime& out) const {
    const Traffic sync = step_reduction();
    if (layer_ == 0) {
      out.gradient_sync.exposed = sync.time.total();
    } else {
      // The last backward hides it with what every backward hides.
      const Traffic always = microbatch_collectives().both();
      PhaseTime every{out.backward.compute, {}, {}, out.backward.inside}, last = every;
      hide(every, always);
      hide(last, Traffic(always) += sync);
      out.gradient_sync.exposed = last.exposed - every.exposed;
      out.gradient_sync.hidden = last.hidden - every.hidden;
    }
    out.gradient_sync.exposed += Milliseconds{tied_reduction()};
    out.optimizer = Milliseconds{optimizer_ms()};
    out.parameter_gather = Milliseconds{step_gather(out)};
  }

  // Where the next forward hides it, all but the first layer's.
  double step_gather(const LayerTime& out) const {
    const Traffic all = of_held_units([&](const plan::UnitSpec& unit) {
      const int zero_stage = unit_timer_.zero_stage(unit);
      return zero_stage == 1 || zero_stage == 2 ? unit_timer_.gather(unit) : Traffic{};
    });
    const bool overlaps =
        inputs_.job.communication.parameter_gather == spec::ParameterGather::kOverlap;
    const double share = layer_ == 0 ? 0 : overlaps ? 1 : inputs_.hardware.gather_overlap;
    PhaseTime forward = is(spec::LayerKind::kHead) ? out.backward : out.forward;
    forward.exposed = {};
    hide(forward, {share * all.time, all.overlap});
    return (1 - share) * all.time.total().value + forward.exposed.value;
  }

  Traffic step_reduction() const {
    return of_held_units([&](const plan::UnitSpec& unit) {
      Traffic out = unit_timer_.spread(unit);
      if (!unit_timer_.reduces_each(unit)) out += unit_timer_.reduce(unit);
      return out;
    });
  }

  double tied_reduction() const {
    return of_held_units([&](const plan::UnitSpec& unit) { return unit_timer_.tie(unit); });
  }

  double optimizer_ms() const { return factor(StepKind::kOptimizer) * plain_optimizer_ms(); }

  double plain_optimizer_ms() const {
    const double elements = of_held_units(
        [&](const plan::UnitSpec& unit) { return static_cast<double>(unit_timer_.owned(unit)); });
    const int local = std::min(shape_.world_size(), inputs_.hardware.ranks_per_node);
    const double slowdown = inputs_.hardware.compute_slowdown(local);
    const double update =
        elements * inputs_.hardware.optimizer_ns(*inputs_.job.optimizer) * 1e-6 * slowdown;
    if (inputs_.job.optimizer->factors)
      return update +
             of_held_units([&](const plan::UnitSpec& unit) { return unit_timer_.factors(unit); });
    if (!inputs_.job.optimizer->takes_matrices) return update;
    return update + of_held_units([&](const plan::UnitSpec& unit) {
             return unit_timer_.matrices(unit) + matrix_flops(unit) * flop_ms() * slowdown;
           });
  }

  // Of the matrices that one of the ranks that share them makes orthogonal.
  double matrix_flops(const plan::UnitSpec& unit) const {
    double flops = 0;
    for (const int index : unit.params) {
      const spec::ParamSpec& param = spec_.params[static_cast<std::size_t>(index)];
      if (spec_.is_block_matrix(param)) flops += spec::matrix_flops(param);
    }
    return flops / unit_timer_.sharers(unit).size;
  }

  // As fast as the layer's own products.
  double flop_ms() const {
    const double forward =
        inputs_.profile.lookup(spec_.type, strategy_.tp_degree, work_.profile_samples)
            .forward.value;
    const double flops = spec::forward_flops(spec_, inputs_.model, inputs_.job.seq_length) *
                         work_.profile_samples / strategy_.tp_degree;
    return flops > 0 ? forward / flops : 0;
  }

  const CostInputs& inputs_;
  const PipelineShape& shape_;
  const spec::LayerSpec& spec_;
  int layer_;
  const plan::LayerStrategy& strategy_;
  std::int64_t microbatch_samples_;
  LocalWork work_;
  const ParamUnits& units_;
  UnitTimer unit_timer_;
};

// Share of a rank's border tensor that the unluckiest rank must fetch from others. Ranks lie dp
// outside, sequence inside: where one layout has the whole sequence and the degrees nest, each rank
// keeps 1 / k of what it had; otherwise, as where TP ranks are not consecutive, some rank keeps
// nothing.
double moved_share(const plan::TokenLayout& a, const plan::TokenLayout& b) {
  if (a.outer_degree > 1 || b.outer_degree > 1) return 1;
  const int large = std::max(a.seq_degree, b.seq_degree);
  const int small = std::min(a.seq_degree, b.seq_degree);
  return small == 1 ? 1 - 1.0 / large : 1;
}

// Neighbours that together hold the same samples before and after: nobody else has what they lack.
// Where TP ranks are not consecutive samples lie all over the stage.
int exchanging_ranks(const plan::TokenLayout& a, const plan::TokenLayout& b, int ranks_per_stage) {
  if (a.outer_degree > 1 || b.outer_degree > 1) return ranks_per_stage;
  return std::lcm(a.seq_degree, b.seq_degree);
}

}  // namespace

PhaseTime& PhaseTime::operator+=(const PhaseTime& other) {
  compute += other.compute;
  exposed += other.exposed;
  hidden += other.hidden;
  inside += other.inside;
  return *this;
}

LayerTime layer_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                     const plan::LayerStrategy& strategy, const ParamUnits& units,
                     std::int64_t samples) {
  return LayerTimer(inputs, shape, layer, strategy, units, samples).time();
}

Milliseconds compute_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                          const plan::LayerStrategy& strategy, std::int64_t samples) {
  return LayerTimer(inputs, shape, layer, strategy, {}, samples).compute();
}

UnitTime unit_time(const CostInputs& inputs, const PipelineShape& shape,
                   const plan::LayerStrategy& strategy, const plan::UnitSpec& unit) {
  const UnitTimer timer(inputs, shape, strategy);
  return {timer.zero_stage(unit) >= 3 ? timer.gather(unit) : Traffic{},
          timer.reduce(unit),
          timer.spread(unit),
          {timer.tie(unit)}};
}

ByLinks transition_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                        const plan::TokenLayout& from, const plan::TokenLayout& to,
                        std::int64_t samples) {
  if (from == to) return {};
  const std::int64_t bytes = std::max(border_bytes(inputs, layer, from, samples).value,
                                      border_bytes(inputs, layer, to, samples).value);
  const int among = exchanging_ranks(from, to, shape.ranks_per_stage);
  // A full exchange moves (n - 1) / n of a rank's bytes; this one moves moved_share of them.
  const double like = static_cast<double>(bytes) * moved_share(from, to) * among / (among - 1);
  const Milliseconds time = inputs.factors[StepKind::kLayoutChange] *
                            inputs.hardware.group_time(Collective::kAllToAll, {among, 1},
                                                       Bytes{static_cast<std::int64_t>(like)});
  return by_links(inputs.hardware, {among, 1}, time.value);
}

Milliseconds border_transfer_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                                  std::int64_t samples) {
  const Bytes all = border_bytes(inputs, layer, {}, samples);
  const std::int64_t bytes = largest_chunk(all.value, shape.ranks_per_stage);
  return inputs.factors[StepKind::kTransfer] *
         inputs.hardware.group_time(Collective::kPointToPoint, {2, shape.ranks_per_stage},
                                    Bytes{bytes});
}

}  // namespace galvatron::cost
