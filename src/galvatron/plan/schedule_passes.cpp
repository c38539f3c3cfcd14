#include "galvatron/plan/schedule_passes.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace galvatron::plan {
namespace {

// Is it the last layer of its stage that this step runs?
bool ends_stage(const Step& step, const RankParts& parts) {
  const Range layers = parts.layers[static_cast<std::size_t>(step.chunk)];
  return step.layer == (step.action == Action::kForward ? layers.end - 1 : layers.begin);
}

Step unit_step(Action action, const Step& of, int microbatch, std::size_t unit) {
  return {action, microbatch, of.chunk, -1, static_cast<int>(unit)};
}

// Units by the layers that use them.
std::map<int, std::vector<std::size_t>> units_of_layers(const RankParts& parts) {
  std::map<int, std::vector<std::size_t>> out;
  for (std::size_t unit = 0; unit < parts.units.size(); ++unit) {
    for (const int layer : parts.units[unit].layers) out[layer].push_back(unit);
  }
  return out;
}

class ReductionPass {
 public:
  ReductionPass(const std::vector<Step>& steps, const RankParts& parts)
      : steps_(steps), parts_(parts), units_of_(units_of_layers(parts)) {
    for (const Step& step : steps) {
      if (step.action != Action::kBackward) continue;
      for (const std::size_t unit : units_of_[step.layer]) ++uses_left_[unit];
    }
  }

  std::vector<Step> run() {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      out_.push_back(step);
      if (step.action != Action::kBackward) continue;
      const std::size_t from_before = under_way_.size();
      const std::size_t finished = reduce(step);
      const bool ends = ends_stage(step, parts_);
      // The stage in front does not wait for reductions.
      for (const Action action : {Action::kMoveGradient, Action::kSendGradient}) {
        const bool is_next = i + 1 < steps_.size() && steps_[i + 1].action == action;
        if (ends && is_next) out_.push_back(steps_[++i]);
      }
      finish_beyond_window(step, ends ? under_way_.size() : from_before - finished);
    }
    while (!under_way_.empty()) finish_unit({}, 0);
    add_ties();
    return std::move(out_);
  }

 private:
  // How many of the reductions under way it had to finish.
  std::size_t reduce(const Step& step) {
    const std::vector<std::size_t>& units = units_of_[step.layer];
    std::size_t finished = 0;
    if (units.empty()) return finished;
    out_.push_back({Action::kAddGradients, step.microbatch, step.chunk, step.layer});
    for (const std::size_t unit : units) {
      const bool each = parts_.units[unit].reduces_each;
      if (--uses_left_[unit] > 0 && !each) continue;
      const auto known = std::find(under_way_.begin(), under_way_.end(), unit);
      if (known != under_way_.end()) {
        finish_unit(step, static_cast<std::size_t>(known - under_way_.begin()));
        ++finished;
      }
      out_.push_back(unit_step(Action::kReduce, step, each ? step.microbatch : -1, unit));
      under_way_.push_back(unit);
    }
    return finished;
  }

  // Of the `count` oldest, from the oldest on.
  void finish_beyond_window(const Step& of, std::size_t count) {
    const std::int64_t window = parts_.reduce_window.value_or(0);
    std::vector<std::size_t> places;  // the youngest first
    std::int64_t bytes = 0;           // that are under way
    for (std::size_t i = count; i-- > 0;) {
      const UnitTraffic& unit = parts_.units[under_way_[i]];
      if (!parts_.reduce_window && !unit.reduction_is_costly) continue;
      bytes += unit.reduced_bytes;
      if (bytes > window || window == 0) places.push_back(i);
    }
    // Each that is gone moves those behind it.
    for (std::size_t i = 0; i < places.size(); ++i)
      finish_unit(of, places[places.size() - 1 - i] - i);
  }

  void finish_unit(const Step& of, std::size_t place) {
    out_.push_back(unit_step(Action::kFinishReduce, of, -1, under_way_[place]));
    under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(place));
  }

  void add_ties() {
    std::vector<std::pair<std::string, std::size_t>> ties;
    for (std::size_t unit = 0; unit < parts_.units.size(); ++unit) {
      if (!parts_.units[unit].tie.empty()) ties.emplace_back(parts_.units[unit].tie, unit);
    }
    std::sort(ties.begin(), ties.end());
    for (const auto& [name, unit] : ties) {
      out_.push_back(unit_step(Action::kReduceTie, {}, -1, unit));
    }
  }

  const std::vector<Step>& steps_;
  const RankParts& parts_;
  std::map<int, std::vector<std::size_t>> units_of_;
  std::map<std::size_t, int> uses_left_;
  std::vector<std::size_t> under_way_;  // units, the oldest first
  std::vector<Step> out_;
};

class GatherPass {
 public:
  GatherPass(const std::vector<Step>& steps, const RankParts& parts)
      : steps_(steps),
        parts_(parts),
        units_of_(units_of_layers(parts)),
        whole_(parts.units.size(), false) {
    for (auto& [layer, units] : units_of_) {
      std::erase_if(units, [&](std::size_t unit) { return !parts.units[unit].gathers; });
    }
  }

  std::vector<Step> run() {
    const Step* open = nullptr;  // last layer of a stage's step, what comes next not yet gathered
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      if (open != nullptr && !belongs_behind(step)) {
        gather_for_next(*open, i);
        open = nullptr;
      }
      if (!is_compute(step.action)) {
        out_.push_back(step);
        continue;
      }
      const bool is_last = ends_stage(step, parts_);
      if (!is_last) {
        gather(step, step.layer);
        gather(step, step.layer + (step.action == Action::kForward ? 1 : -1));
      }
      const bool uses = step.action == Action::kBackward || step.layer != parts_.loss_layer;
      if (uses) gather(step, step.layer);
      if (!is_last) look_ahead(step, i, 2);
      out_.push_back(step);
      if (uses) free(step);
      if (is_last) open = &step;
    }
    return std::move(out_);
  }

 private:
  // Steps of a layer's gradients, in front of which nothing is gathered.
  static bool belongs_behind(const Step& step) {
    return step.action == Action::kAddGradients || step.action == Action::kReduce ||
           step.action == Action::kFinishReduce || step.action == Action::kMoveGradient ||
           step.action == Action::kSendGradient;
  }

  void gather(const Step& of, int layer) {
    for (const std::size_t unit : units_of_[layer]) {
      if (!whole_[unit]) gather_unit(of, unit);
    }
  }

  void free(const Step& of) {
    for (const std::size_t unit : units_of_[of.layer]) {
      whole_[unit] = false;
      out_.push_back(unit_step(Action::kFree, of, -1, unit));
    }
  }

  void gather_for_next(const Step& done, std::size_t from) {
    const auto next = std::find_if(steps_.begin() + static_cast<std::ptrdiff_t>(from), steps_.end(),
                                   [](const Step& step) { return is_compute(step.action); });
    if (next == steps_.end()) return;
    gather(done, next->layer);
    look_ahead(done, static_cast<std::size_t>(next - steps_.begin()), 1);
  }

  bool uses_parameters(const Step& step) const {
    return step.action == Action::kBackward ||
           (step.action == Action::kForward && step.layer != parts_.loss_layer);
  }

  // For the steps from `at` on behind the first `near`, whose parameters are there, as far as the
  // window goes. What is freed before it is used again can only be gathered then.
  void look_ahead(const Step& of, std::size_t at, int near) {
    std::int64_t bytes = 0;
    std::set<std::size_t> used;
    for (std::size_t i = at; parts_.gather_window > 0 && i < steps_.size(); ++i) {
      if (!is_compute(steps_[i].action) || !uses_parameters(steps_[i])) continue;
      const bool is_near = near-- > 0;
      for (const std::size_t unit : units_of_[steps_[i].layer]) {
        if (!used.insert(unit).second) return;
        if (is_near) continue;
        bytes += parts_.units[unit].gathered_bytes;
        if (bytes > parts_.gather_window) return;
        if (!whole_[unit]) gather_unit(of, unit);
      }
    }
  }

  void gather_unit(const Step& of, std::size_t unit) {
    whole_[unit] = true;
    out_.push_back(unit_step(Action::kGather, of, -1, unit));
  }

  const std::vector<Step>& steps_;
  const RankParts& parts_;
  std::map<int, std::vector<std::size_t>> units_of_;
  std::vector<bool> whole_;
  std::vector<Step> out_;
};

}  // namespace

bool UnitTraffic::used_by(int layer) const {
  return std::find(layers.begin(), layers.end(), layer) != layers.end();
}

bool is_compute(Action action) { return action == Action::kForward || action == Action::kBackward; }
bool is_receive(Action action) {
  return action == Action::kRecvActivation || action == Action::kRecvGradient;
}
bool is_send(Action action) {
  return action == Action::kSendActivation || action == Action::kSendGradient;
}

std::vector<Step> add_transfers(const std::vector<Step>& steps, int pp_rank, int pp_degree,
                                int stages_per_rank) {
  const int last_stage = pp_degree * stages_per_rank - 1;
  std::vector<Step> out;
  for (const Step& step : steps) {
    const int stage = step.chunk * pp_degree + pp_rank;
    const bool forward = step.action == Action::kForward;
    const bool backward = step.action == Action::kBackward;
    const bool first = stage == 0, last = stage == last_stage;
    const auto add = [&](Action action) { out.push_back({action, step.microbatch, step.chunk}); };
    if (forward && !first) add(Action::kRecvActivation);
    if (backward && !last) add(Action::kRecvGradient);
    out.push_back(step);
    if (forward && !last) add(Action::kSendActivation);
    if (backward && !first) add(Action::kSendGradient);
  }
  return out;
}

std::vector<Step> post_receives(const std::vector<Step>& steps) {
  std::vector<Step> out;
  const auto post_from = [&](std::size_t from) {
    for (std::size_t i = from; i < steps.size() && !is_compute(steps[i].action); ++i) {
      Step post = steps[i];
      if (!is_receive(post.action)) continue;
      const bool activation = post.action == Action::kRecvActivation;
      post.action = activation ? Action::kPostActivation : Action::kPostGradient;
      out.push_back(post);
    }
  };
  post_from(0);
  bool posted = false;  // what the compute step behind the next one needs
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Action action = steps[i].action;
    if (!posted && (is_receive(action) || is_compute(action))) {
      std::size_t compute = i;
      while (compute < steps.size() && !is_compute(steps[compute].action)) ++compute;
      post_from(compute + 1);
      posted = true;
    }
    out.push_back(steps[i]);
    if (is_compute(action)) posted = false;
  }
  return out;
}

std::vector<Step> split_layers(const std::vector<Step>& steps, const RankParts& parts) {
  std::vector<Step> out;
  const auto moves = [&](int layer) {
    return layer > 0 && parts.changes_layout[static_cast<std::size_t>(layer)];
  };
  for (const Step& step : steps) {
    const Range layers =
        is_compute(step.action) ? parts.layers[static_cast<std::size_t>(step.chunk)] : Range{};
    const auto first = static_cast<int>(layers.begin), end = static_cast<int>(layers.end);
    const auto add = [&](Action action, int layer) {
      out.push_back({action, step.microbatch, step.chunk, layer});
    };
    if (step.action == Action::kForward) {
      for (int layer = first; layer < end; ++layer) {
        if (moves(layer)) add(Action::kMoveActivation, layer);
        add(Action::kForward, layer);
      }
    } else if (step.action == Action::kBackward) {
      for (int layer = end - 1; layer >= first; --layer) {
        add(Action::kBackward, layer);
        if (moves(layer)) add(Action::kMoveGradient, layer);
      }
    } else {
      out.push_back(step);
    }
  }
  return out;
}

std::vector<Step> add_reductions(const std::vector<Step>& steps, const RankParts& parts) {
  return ReductionPass(steps, parts).run();
}

std::vector<Step> add_gathers(const std::vector<Step>& steps, const RankParts& parts) {
  return GatherPass(steps, parts).run();
}

std::vector<Step> lower(const std::vector<Step>& compute, int pp_rank, int pp_degree,
                        const RankParts& parts) {
  const auto stages_per_rank = static_cast<int>(parts.layers.size());
  std::vector<Step> steps = add_transfers(compute, pp_rank, pp_degree, stages_per_rank);
  steps = split_layers(post_receives(steps), parts);
  return add_gathers(add_reductions(steps, parts), parts);
}

}  // namespace galvatron::plan
