#include "galvatron/cost/memory_over_time.h"

#include <algorithm>
#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::cost {
namespace {

// Layers times passes: more are no picture.
constexpr std::size_t kMostMoments = 1 << 17;

// A microbatch's way through one stage.
struct StagePass {
  EventKind kind = EventKind::kForward;
  int stage = 0, chunk = 0, microbatch = 0;
  Milliseconds start, end;
  bool forward() const { return kind == EventKind::kForward; }
  bool is_of(const TimelineEvent& event) const {
    return kind == event.kind && stage == event.stage && microbatch == event.microbatch;
  }
};

// Events of a pass that waited in between are one.
std::vector<StagePass> passes_of(const PlanCost& cost, const plan::Pipeline& pipeline,
                                 int pp_rank) {
  std::vector<StagePass> out;
  for (const TimelineEvent& event : cost.timeline.events) {
    if (event.kind != EventKind::kForward && event.kind != EventKind::kBackward) continue;
    if (pipeline.pp_rank_of_stage(event.stage) != pp_rank) continue;
    if (out.empty() || !out.back().is_of(event)) {
      out.push_back({event.kind, event.stage, event.chunk, event.microbatch, event.start, {}});
    }
    out.back().end = event.end;
  }
  return out;
}

class MomentList {
 public:
  MomentList(const PlanTables& made, const plan::Plan& plan, const PlanCost& cost, int pp_rank,
             bool by_layer)
      : made_(made),
        cost_(cost),
        predicted_(cost.stages[static_cast<std::size_t>(pp_rank)].memory),
        both_ways_(plan.pipeline.stages_per_rank() > 1),
        by_layer_(by_layer),
        in_flight_(static_cast<std::size_t>(plan.pipeline.stages_per_rank()), 0) {
    for (const int stage : plan.pipeline.stages_of_rank(pp_rank)) {
      add_chunk(plan.layers_of_stage(stage));
      receiving_ = std::max(receiving_, made.tables.receive_bytes(plan.layers_of_stage(stage)));
    }
    out_.moments.push_back({});
  }

  void add(const StagePass& pass) {
    int& count = in_flight_[static_cast<std::size_t>(pass.chunk)];
    if (pass.forward()) ++count;
    const std::int64_t others = kept_by_all() - kept_by_chunk(pass.chunk);
    pass.forward() ? go_forward(pass, others) : go_backward(pass, others);
    if (!pass.forward()) --count;
    out_.moments.push_back({pass.end, kept_by_all(), 0});
  }

  MemoryOverTime done() {
    const std::int64_t most = predicted_.activations.value + predicted_.transient.value;
    GALV_CHECK(best_ == most, best_, " bytes at the peak over time, ", most, " predicted");
    // Of moments that are as large the one that the prediction speaks of.
    MemoryMoment& peak = out_.moments[out_.peak.moment];
    peak.activation_bytes = predicted_.activations.value;
    peak.transient_bytes = predicted_.transient.value;
    return std::move(out_);
  }

 private:
  const LayerCost& layer_cost(std::int64_t layer) const {
    return made_.tables.layer_cost(static_cast<int>(layer),
                                   made_.choice[static_cast<std::size_t>(layer)]);
  }
  struct Chunk {
    Range layers;
    KeptBytes kept;                               // of one microbatch
    std::vector<std::vector<Transient>> moments;  // of each layer
  };
  const Chunk& chunk(int index) const { return chunks_[static_cast<std::size_t>(index)]; }
  Range layers(int index) const { return chunk(index).layers; }
  // Of the newest microbatch, which is one of the larger ones.
  std::int64_t kept_by_layer(Range stage, std::int64_t layer) const {
    KeptBytes kept;
    kept.add(layer_cost(layer), layer == stage.begin);
    return kept.large;
  }
  std::int64_t kept_by_chunk(int index) const { return chunk(index).kept.large; }
  const std::vector<Transient>& moments_of(int index, std::int64_t layer) const {
    return chunk(index).moments[static_cast<std::size_t>(layer - layers(index).begin)];
  }

  void add_chunk(Range range) {
    Chunk& out = chunks_.emplace_back(Chunk{range, {}, {}});
    for (auto a = range.begin; a < range.end; ++a) {
      out.kept.add(layer_cost(a), a == range.begin);
      out.moments.push_back(transients(layer_cost(a),
                                       a > range.begin ? &layer_cost(a - 1) : nullptr,
                                       a + 1 < range.end ? &layer_cost(a + 1) : nullptr));
    }
  }

  std::int64_t kept_by_all() const {
    std::int64_t sum = 0;
    for (std::size_t c = 0; c < in_flight_.size(); ++c) {
      sum += made_.tables.kept(chunks_[c].kept, in_flight_[c]);
    }
    return sum;
  }

  // When each of the pass's layers begins, in the order in which they run, and the pass's end. All
  // at its beginning where the layers of all passes are too many.
  std::vector<Milliseconds> times_of(const StagePass& pass) const {
    const auto count = static_cast<std::size_t>(layers(pass.chunk).size());
    if (!by_layer_) return std::vector<Milliseconds>(count + 1, pass.start);
    std::vector<double> lengths;
    for (auto i = layers(pass.chunk).begin; i < layers(pass.chunk).end; ++i) {
      const LayerRow& row = cost_.layers[static_cast<std::size_t>(i)];
      const PhaseTime& phase = pass.forward() ? row.time.forward : row.time.backward;
      lengths.push_back((phase.total() + 0.5 * row.transition).value);
    }
    if (!pass.forward()) std::reverse(lengths.begin(), lengths.end());
    double whole = 0, so_far = 0;
    for (const double length : lengths) whole += length;
    std::vector<Milliseconds> out;
    for (const double length : lengths) {
      out.push_back(pass.start + (whole > 0 ? so_far / whole : 0) * (pass.end - pass.start));
      so_far += length;
    }
    out.push_back(pass.end);
    return out;
  }

  bool counts(const Transient& one, Transient::When when) const {
    return both_ways_ || one.when == when;
  }

  void go_forward(const StagePass& pass, std::int64_t others) {
    const std::vector<Milliseconds> times = times_of(pass);
    const Range range = layers(pass.chunk);
    std::int64_t kept = others;
    for (auto i = range.begin; i < range.end; ++i) {
      kept += kept_by_layer(range, i);
      const Milliseconds at = times[static_cast<std::size_t>(i - range.begin)];
      for (const Transient& one : moments_of(pass.chunk, i)) {
        if (counts(one, Transient::When::kForward)) add_layer(pass, i, at, kept, one);
      }
    }
  }

  void go_backward(const StagePass& pass, std::int64_t others) {
    const std::vector<Milliseconds> times = times_of(pass);
    const Range range = layers(pass.chunk);
    std::int64_t kept = others + kept_by_chunk(pass.chunk);
    for (auto i = range.end - 1; i >= range.begin; --i) {
      const auto place = static_cast<std::size_t>(range.end - 1 - i);
      for (const auto when : {Transient::When::kBackward, Transient::When::kBackwardEnds}) {
        const bool ends = when == Transient::When::kBackwardEnds;
        const Milliseconds at = times[place + (ends ? 1 : 0)];
        for (const Transient& one : moments_of(pass.chunk, i)) {
          if (counts(one, when)) add_layer(pass, i, at, kept, one);
        }
      }
      kept -= kept_by_layer(range, i);
    }
  }

  void add_layer(const StagePass& pass, std::int64_t kept_to, Milliseconds at, std::int64_t kept,
                 Transient transient) {
    transient.receiving = receiving_;
    // Of moments at one time the largest.
    const MemoryMoment moment = moment_of(at, kept, transient.total());
    MemoryMoment& last = out_.moments.back();
    if (last.at != at) {
      out_.moments.push_back(moment);
    } else if (moment.total() > last.total()) {
      last = moment;
    }
    const std::int64_t sum = kept + transient.total();
    const bool as_predicted = kept == predicted_.activations.value;
    if (sum < best_ || (sum == best_ && (best_as_predicted_ || !as_predicted))) return;
    best_ = sum;
    best_as_predicted_ = as_predicted;
    out_.peak = {out_.moments.size() - 1,   in_flight_, {}, pass.chunk,
                 static_cast<int>(kept_to), transient};
    for (const int count : in_flight_) {
      out_.peak.num_large.push_back(made_.tables.large_among(count));
    }
  }

  // What has been dropped is no longer kept.
  static MemoryMoment moment_of(Milliseconds at, std::int64_t kept, std::int64_t transient) {
    return {at, kept + std::min<std::int64_t>(transient, 0), std::max<std::int64_t>(transient, 0)};
  }

  const PlanTables& made_;
  const PlanCost& cost_;
  const StageMemory& predicted_;
  bool both_ways_, by_layer_;
  std::vector<int> in_flight_;
  std::vector<Chunk> chunks_;
  std::int64_t receiving_ = 0;
  MemoryOverTime out_;
  std::int64_t best_ = -1;
  bool best_as_predicted_ = false;
};

}  // namespace

MemoryOverTime memory_over_time(const CostInputs& inputs, const plan::Plan& plan,
                                const PlanCost& cost, int pp_rank) {
  const PlanTables made = build_plan_tables(inputs, plan);
  const std::vector<StagePass> passes = passes_of(cost, plan.pipeline, pp_rank);
  const bool by_layer = plan.layers.size() * passes.size() <= kMostMoments;
  MomentList moments(made, plan, cost, pp_rank, by_layer);
  for (const StagePass& pass : passes) moments.add(pass);
  return moments.done();
}

}  // namespace galvatron::cost
