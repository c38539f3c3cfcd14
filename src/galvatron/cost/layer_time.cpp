#include "galvatron/cost/layer_time.h"

#include <algorithm>

#include "galvatron/base/logit_rows.h"

namespace galvatron::cost {
namespace {

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
        // Copies of a tied weight are taken to lie on the first and the last pipeline rank.
        ends_{2, (shape.pp_degree - 1) * shape.ranks_per_stage},
        compute_bytes_(spec::compute_bytes(inputs.job.precision)),
        state_bytes_(spec::state_bytes(inputs.job.precision)) {}

  int zero_stage(const plan::UnitSpec& unit) const { return unit.zero_stage(zero_stage_); }
  std::int64_t owned(const plan::UnitSpec& unit) const { return unit.owned(zero_stage_); }

  // Parameters made whole.
  double gather(const plan::UnitSpec& unit) const {
    return time(Collective::kAllGather, group(unit.shards), unit.elements * compute_bytes_);
  }
  double reduce(const plan::UnitSpec& unit) const {
    const auto kind = zero_stage(unit) == 0 ? Collective::kAllReduce : Collective::kReduceScatter;
    return time(kind, group(unit.shards), unit.elements * state_bytes_);
  }
  double spread(const plan::UnitSpec& unit) const {
    if (zero_stage(unit) == 0) return 0;
    return time(Collective::kAllReduce, group(unit.copies), owned(unit) * state_bytes_);
  }
  // The owned parts of gradients are summed.
  double tie(const plan::UnitSpec& unit) const {
    return unit.has_twins ? time(Collective::kAllReduce, ends_, owned(unit) * state_bytes_) : 0;
  }

 private:
  double time(Collective kind, GroupShape group, std::int64_t bytes) const {
    return inputs_.hardware.group_time(kind, group, Bytes{bytes}).value;
  }

  const CostInputs& inputs_;
  int zero_stage_;
  GroupShape ends_;
  std::int64_t compute_bytes_, state_bytes_;
};

// One layer under one strategy: what all of its formulas share.
class LayerTimer {
 public:
  LayerTimer(const CostInputs& inputs, const PipelineShape& shape, int layer,
             const plan::LayerStrategy& strategy, const ParamUnits& units, std::int64_t samples)
      : inputs_(inputs),
        shape_(shape),
        spec_(inputs.model.layer(layer)),
        strategy_(strategy),
        layout_(shape.layout(strategy)),
        work_(local_work(inputs, shape, layer, strategy, samples)),
        is_first_(layer == 0),
        units_(units),
        unit_timer_(inputs, shape, strategy),
        compute_bytes_(spec::compute_bytes(inputs.job.precision)),
        state_bytes_(spec::state_bytes(inputs.job.precision)) {}

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
  GroupShape tp_group() const { return group(layout_.tp_line()); }
  GroupShape ulysses_group() const { return group(layout_.ulysses_line()); }

  double collective(Collective kind, GroupShape group, std::int64_t bytes) const {
    return inputs_.hardware.group_time(kind, group, Bytes{bytes}).value;
  }

  // The head's forward runs inside the backward step.
  void add_compute(LayerTime& out) const {
    const profiles::LayerMeasurement cost =
        inputs_.profile.lookup(spec_.type, strategy_.tp_degree, work_.profile_samples);
    const double slowdown =
        inputs_.hardware.compute_slowdown(computing_ranks(shape_, inputs_.hardware));
    const Milliseconds forward = slowdown * cost.forward;
    out.backward.compute = slowdown * cost.backward;
    if (is(spec::LayerKind::kHead)) {
      out.backward.compute += forward;
      return;
    }
    out.forward.compute = forward;
    if (strategy_.recompute == plan::Recompute::kFull) out.recompute = forward;
    if (strategy_.recompute == plan::Recompute::kSelective) {
      out.recompute = slowdown * cost.selective_recompute;
    }
    out.backward.compute += out.recompute;
  }

  // For collectives of one direction.
  struct Waits {
    double tp = 0, ulysses = 0;
    double total() const { return tp + ulysses; }
    Waits& operator+=(const Waits& other) {
      tp += other.tp;
      ulysses += other.ulysses;
      return *this;
    }
  };

  // Collectives inside the layer: nothing hides them.
  void add_layer_collectives(LayerTime& out) const {
    Waits forward, backward;
    switch (spec_.kind) {
      case spec::LayerKind::kEmbedding:
        forward.tp = tp_scatter();
        backward.tp = tp_gather();
        break;
      case spec::LayerKind::kBlock:
        forward = {2 * (tp_gather() + tp_scatter()), ulysses_exchanges()};
        // Gradients are gathered where outputs were scattered; the inputs of the two
        // column-parallel products were kept as shards and are gathered again for the weight
        // gradients.
        backward = {2 * (2 * tp_gather() + tp_scatter()), ulysses_exchanges()};
        if (strategy_.recompute == plan::Recompute::kFull) backward += forward;
        break;
      case spec::LayerKind::kMerge:
        // Tokens of the grid before, four for each that the layer makes, half as wide.
        forward = merge_exchange(Collective::kAllGather);
        backward = merge_exchange(Collective::kReduceScatter);
        if (strategy_.recompute == plan::Recompute::kFull) backward += forward;
        break;
      case spec::LayerKind::kHead:
        backward.tp = tp_gather() + cross_entropy_reductions() + tp_scatter();
        break;
    }
    out.forward.exposed = out.forward.inside = Milliseconds{forward.total()};
    out.backward.exposed = out.backward.inside = Milliseconds{backward.total()};
    out.tp = Milliseconds{forward.tp + backward.tp};
  }

  std::int64_t tokens() const { return work_.samples * work_.block_tokens; }
  std::int64_t region_bytes() const { return tokens() * spec_.shape.hidden_size * compute_bytes_; }
  double tp_gather() const {
    return collective(Collective::kAllGather, tp_group(), region_bytes());
  }
  double tp_scatter() const {
    return collective(Collective::kReduceScatter, tp_group(), region_bytes());
  }

  // Among all ranks that share the sequence, tensor-parallel ones first.
  Waits merge_exchange(Collective kind) const {
    const std::int64_t inner = 2 * region_bytes();
    return {collective(kind, tp_group(), inner),
            collective(kind, ulysses_group(), inner * strategy_.ulysses_degree)};
  }

  // Queries, keys and values one way, the context back (Jacobs et al. 2023).
  double ulysses_exchanges() const {
    const std::int64_t token_bytes = spec_.shape.head_size * compute_bytes_ / strategy_.tp_degree;
    const std::int64_t context = tokens() * spec_.shape.num_heads * token_bytes;
    const std::int64_t qkv =
        tokens() * (spec_.shape.num_heads + 2 * spec_.shape.num_kv_heads) * token_bytes;
    return collective(Collective::kAllToAll, ulysses_group(), qkv) +
           collective(Collective::kAllToAll, ulysses_group(), context);
  }

  // Per chunk of tokens the maximum, then the sum and the label's logit together.
  double cross_entropy_reductions() const {
    if (strategy_.tp_degree == 1) return 0;
    const std::int64_t vocab = largest_chunk(spec_.vocab_size(), strategy_.tp_degree);
    const std::int64_t chunk_tokens = std::min(tokens(), rows_of_logits_at_once(vocab));
    if (chunk_tokens == 0) return 0;
    const double one =
        collective(Collective::kAllReduce, tp_group(), chunk_tokens * state_bytes_) +
        collective(Collective::kAllReduce, tp_group(), 2 * chunk_tokens * state_bytes_);
    return one * static_cast<double>(largest_chunk(tokens(), chunk_tokens));
  }

  struct Microbatch {
    double gather = 0, reduce = 0;
  };
  Microbatch microbatch_collectives() const {
    Microbatch out;
    for (const plan::UnitSpec& unit : units_) {
      const int zero_stage = unit_timer_.zero_stage(unit);
      if (zero_stage >= 3) out.gather += unit_timer_.gather(unit);
      if (zero_stage >= 2) out.reduce += unit_timer_.reduce(unit);
    }
    return out;
  }

  // Every microbatch: ZeRO-3 gathers parameters ahead, ZeRO-2 and 3 reduce gradients behind. The
  // neighbour's compute that hides them is taken to be as long as this layer's own.
  void add_parameter_collectives(LayerTime& out) const {
    const auto [gather, reduce] = microbatch_collectives();
    if (is_first_) {
      // Nothing runs before the first layer's forward, nor after its backward.
      out.forward.exposed += Milliseconds{gather};
      hide(out.backward, gather);
      out.backward.exposed += Milliseconds{reduce};
      return;
    }
    if (!is(spec::LayerKind::kHead)) hide(out.forward, gather);
    hide(out.backward, gather + reduce);
  }

  void hide(PhaseTime& phase, double communication) const {
    const double compute = phase.compute.value;
    const double together =
        overlapped_ms(compute, communication, inputs_.hardware.overlap_slowdown);
    const double exposed = together - compute;
    phase.exposed += Milliseconds{exposed};
    phase.hidden += Milliseconds{std::max(0.0, communication - exposed)};
  }

  void add_step_costs(LayerTime& out) const {
    const double sync = step_reduction();
    if (is_first_) {
      out.gradient_sync.exposed = Milliseconds{sync};
    } else {
      // The last backward hides it with what every backward hides.
      const auto [gather, reduce] = microbatch_collectives();
      PhaseTime every{out.backward.compute, {}, {}, {}}, last = every;
      hide(every, gather + reduce);
      hide(last, gather + reduce + sync);
      out.gradient_sync.exposed = last.exposed - every.exposed;
      out.gradient_sync.hidden = last.hidden - every.hidden;
    }
    out.gradient_sync.exposed += Milliseconds{tied_reduction()};
    out.optimizer = Milliseconds{optimizer_ms()};
    out.parameter_gather = Milliseconds{of_held_units([&](const plan::UnitSpec& unit) {
      const int zero_stage = unit_timer_.zero_stage(unit);
      return zero_stage == 1 || zero_stage == 2 ? unit_timer_.gather(unit) : 0;
    })};
  }

  // What is done once a step is done where the unit is held.
  template <typename Cost>
  double of_held_units(Cost cost) const {
    double total = 0;
    for (const plan::UnitSpec& unit : units_) {
      if (!unit.held_in_front) total += cost(unit);
    }
    return total;
  }

  double step_reduction() const {
    return of_held_units([&](const plan::UnitSpec& unit) {
      const double inside = unit_timer_.zero_stage(unit) < 2 ? unit_timer_.reduce(unit) : 0;
      return inside + unit_timer_.spread(unit);
    });
  }

  double tied_reduction() const {
    return of_held_units([&](const plan::UnitSpec& unit) { return unit_timer_.tie(unit); });
  }

  double optimizer_ms() const {
    const double elements = of_held_units(
        [&](const plan::UnitSpec& unit) { return static_cast<double>(unit_timer_.owned(unit)); });
    const int local = std::min(shape_.world_size(), inputs_.hardware.ranks_per_node);
    return elements * inputs_.hardware.optimizer_ns(*inputs_.job.optimizer) * 1e-6 *
           inputs_.hardware.compute_slowdown(local);
  }

  const CostInputs& inputs_;
  const PipelineShape& shape_;
  const spec::LayerSpec& spec_;
  const plan::LayerStrategy& strategy_;
  plan::RankLayout layout_;
  LocalWork work_;
  bool is_first_;
  const ParamUnits& units_;
  UnitTimer unit_timer_;
  std::int64_t compute_bytes_;
  std::int64_t state_bytes_;
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
  return {{timer.zero_stage(unit) >= 3 ? timer.gather(unit) : 0},
          {timer.reduce(unit)},
          {timer.spread(unit)},
          {timer.tie(unit)}};
}

Milliseconds transition_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                             const plan::TokenLayout& from, const plan::TokenLayout& to,
                             std::int64_t samples) {
  if (from == to) return {};
  const std::int64_t bytes = std::max(border_bytes(inputs, layer, from, samples).value,
                                      border_bytes(inputs, layer, to, samples).value);
  // A full exchange moves (R - 1) / R of a rank's bytes; this one moves moved_share of them.
  const double ranks = shape.ranks_per_stage;
  const double like = static_cast<double>(bytes) * moved_share(from, to) * ranks / (ranks - 1);
  return inputs.hardware.group_time(Collective::kAllToAll, {shape.ranks_per_stage, 1},
                                    Bytes{static_cast<std::int64_t>(like)});
}

Milliseconds border_transfer_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                                  std::int64_t samples) {
  const Bytes all = border_bytes(inputs, layer, {}, samples);
  const std::int64_t bytes = largest_chunk(all.value, shape.ranks_per_stage);
  return inputs.hardware.group_time(Collective::kPointToPoint, {2, shape.ranks_per_stage},
                                    Bytes{bytes});
}

}  // namespace galvatron::cost
