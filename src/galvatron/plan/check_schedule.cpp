#include "galvatron/plan/check_schedule.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace galvatron::plan {
namespace {

using Problem = std::optional<std::string>;

bool is_post(Action action) {
  return action == Action::kPostActivation || action == Action::kPostGradient;
}
bool is_move(Action action) {
  return action == Action::kMoveActivation || action == Action::kMoveGradient;
}

// What one rank's list promises by itself.
class RankCheck {
 public:
  RankCheck(const std::vector<Step>& list, int pp_rank, const ScheduleContext& context)
      : list_(list), pp_rank_(pp_rank), context_(context), shape_(context.shape) {
    if (!context.parts.empty()) parts_ = &context.parts[static_cast<std::size_t>(pp_rank)];
    if (parts_ != nullptr) units_.resize(parts_->units.size());
    for (const Step& step : list) {
      has_weight_gradients_ |= step.action == Action::kWeightGradient;
    }
  }

  Problem run() {
    for (const Step& step : list_) {
      if (auto problem = check(step)) {
        return fmt::format("pipeline rank {}: {}", pp_rank_, *problem);
      }
    }
    if (auto problem = check_end()) return fmt::format("pipeline rank {}: {}", pp_rank_, *problem);
    return std::nullopt;
  }

 private:
  struct UnitState {
    bool whole = false, reducing = false, reduced = false, tied = false;
    int added = 0;    // gradients of layers and microbatches
    int pending = 0;  // of them, not yet reduced
  };
  using Key = std::pair<int, int>;  // chunk, microbatch

  static Key key(const Step& step) { return {step.chunk, step.microbatch}; }
  bool first(const Step& step) const { return shape_.stage(pp_rank_, step.chunk) == 0; }
  bool last(const Step& step) const {
    return shape_.stage(pp_rank_, step.chunk) == shape_.num_stages() - 1;
  }

  Problem check(const Step& step) {
    const bool of_all = step.microbatch == -1 && step.unit >= 0;
    if (step.chunk < 0 || step.chunk >= shape_.stages_per_rank ||
        (step.microbatch < 0 && !of_all) || step.microbatch >= shape_.num_microbatches) {
      return fmt::format("{} is not among {} microbatches and {} stages", to_text(step),
                         shape_.num_microbatches, shape_.stages_per_rank);
    }
    if (is_post(step.action)) return check_post(step);
    if (step.action == Action::kWeightGradient) return check_weight_gradient(step);
    if (step.action <= Action::kBackward || is_receive(step.action) || is_send(step.action) ||
        is_move(step.action)) {
      if (auto problem = check_flow(step)) return problem;
      return is_compute(step.action) ? check_compute(step) : std::nullopt;
    }
    return check_unit_step(step);
  }

  Problem check_post(const Step& step) {
    if (posted_.insert({step.action, step.chunk, step.microbatch}).second) return std::nullopt;
    return fmt::format("{} is there twice", to_text(step));
  }

  // What a forward or backward of a stage consists of, from what it receives to what it sends.
  std::deque<Step> way_through(const Step& of) const {
    const bool forward = of.action == Action::kForward || of.action == Action::kRecvActivation ||
                         of.action == Action::kSendActivation ||
                         of.action == Action::kMoveActivation;
    std::deque<Step> way;
    const auto add = [&](Action action, int layer = -1) {
      way.push_back({action, of.microbatch, of.chunk, layer});
    };
    if (forward && !first(of)) add(Action::kRecvActivation);
    if (!forward && !last(of)) add(Action::kRecvGradient);
    if (parts_ == nullptr) add(forward ? Action::kForward : Action::kBackward);
    const Range layers = parts_ == nullptr ? Range{} : parts_->layers[index(of.chunk)];
    for (std::int64_t i = 0; i < layers.size(); ++i) {
      const auto layer = static_cast<int>(forward ? layers.begin + i : layers.end - 1 - i);
      const bool moves = layer > 0 && parts_->changes_layout[index(layer)];
      if (forward && moves) add(Action::kMoveActivation, layer);
      add(forward ? Action::kForward : Action::kBackward, layer);
      if (!forward && moves) add(Action::kMoveGradient, layer);
    }
    if (forward && !last(of)) add(Action::kSendActivation);
    if (!forward && !first(of)) add(Action::kSendGradient);
    return way;
  }

  Problem check_flow(const Step& step) {
    if (due_.empty()) due_ = way_through(step);
    if (step != due_.front()) {
      return fmt::format("{} stands where {} is due", to_text(step), to_text(due_.front()));
    }
    due_.pop_front();
    const Action post =
        step.action == Action::kRecvActivation ? Action::kPostActivation : Action::kPostGradient;
    const bool waits = parts_ != nullptr && is_receive(step.action);
    if (waits && posted_.erase({post, step.chunk, step.microbatch}) == 0) {
      return fmt::format("{} was not posted before", to_text(step));
    }
    return std::nullopt;
  }

  Problem check_compute(const Step& step) {
    const Range layers = parts_ == nullptr ? Range{-1, 0} : parts_->layers[index(step.chunk)];
    const bool forward = step.action == Action::kForward;
    if (step.layer == (forward ? layers.begin : layers.end - 1)) {
      if (auto problem = check_turn(step)) return problem;
    }
    if (parts_ == nullptr) return std::nullopt;
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      const UnitTraffic& of = parts_->units[unit];
      const bool needs =
          of.gathers && of.used_by(step.layer) && !(forward && step.layer == parts_->loss_layer);
      if (needs && !units_[unit].whole) {
        return fmt::format("{} needs unit {}, which is not gathered", to_text(step), unit);
      }
    }
    if (!forward) to_add_.insert({step.layer, step.microbatch});
    return std::nullopt;
  }

  // Is it this microbatch's turn to go through the stage?
  Problem check_turn(const Step& step) {
    const bool forward = step.action == Action::kForward;
    auto& done = forward ? forwards_ : backwards_;
    if (!forward && !forwards_.contains(key(step))) {
      return fmt::format("{} runs before its forward", to_text(step));
    }
    if (!done.insert(key(step)).second) return fmt::format("{} runs twice", to_text(step));
    in_flight_ += forward ? 1 : -1;
    const auto& most = context_.most_in_flight;
    if (!most.empty() && in_flight_ > most[index(pp_rank_)]) {
      return fmt::format("{} makes {} microbatches in flight, {} were promised", to_text(step),
                         in_flight_, most[index(pp_rank_)]);
    }
    return std::nullopt;
  }

  Problem check_weight_gradient(const Step& step) {
    if (!backwards_.contains(key(step))) {
      return fmt::format("{} runs before its backward", to_text(step));
    }
    if (!weights_.insert(key(step)).second) return fmt::format("{} runs twice", to_text(step));
    return std::nullopt;
  }

  Problem check_unit_step(const Step& step) {
    if (parts_ == nullptr) return fmt::format("{} has no parameter units", to_text(step));
    if (step.action == Action::kAddGradients) return check_add(step);
    if (step.unit < 0 || step.unit >= static_cast<int>(units_.size())) {
      return fmt::format("{} is none of {} units", to_text(step), units_.size());
    }
    UnitState& unit = units_[index(step.unit)];
    const UnitTraffic& of = parts_->units[index(step.unit)];
    const auto wrong = [&](const char* what) { return fmt::format("{} {}", to_text(step), what); };
    switch (step.action) {
      case Action::kGather:
        if (!of.gathers || unit.whole) return wrong("gathers what is there");
        unit.whole = true;
        return std::nullopt;
      case Action::kFree:
        if (!of.gathers || !unit.whole) return wrong("frees what is not gathered");
        unit.whole = false;
        return std::nullopt;
      case Action::kReduce:
        return check_reduce(step, of, unit);
      case Action::kFinishReduce:
        if (!unit.reducing) return wrong("waits for no reduction");
        unit.reducing = false;
        return std::nullopt;
      default:
        if (of.tie.empty() || unit.tied || !unit.reduced || unit.reducing) {
          return wrong("ties gradients that are not whole, or not tied, or tied before");
        }
        unit.tied = true;
        return std::nullopt;
    }
  }

  Problem check_add(const Step& step) {
    if (to_add_.erase({step.layer, step.microbatch}) == 0) {
      return fmt::format("{} adds gradients that nothing made", to_text(step));
    }
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      if (!parts_->units[unit].used_by(step.layer)) continue;
      ++units_[unit].added;
      ++units_[unit].pending;
    }
    return std::nullopt;
  }

  Problem check_reduce(const Step& step, const UnitTraffic& of, UnitState& unit) const {
    const int all = static_cast<int>(of.layers.size()) * shape_.num_microbatches;
    if (unit.reducing) return fmt::format("{} starts while one is under way", to_text(step));
    if (of.reduces_each ? unit.pending != 1 : unit.added != all || unit.reduced) {
      return fmt::format("{} reduces {} of {} gradients", to_text(step), unit.pending,
                         of.reduces_each ? 1 : all);
    }
    unit.pending = 0;
    unit.reducing = true;
    unit.reduced = unit.added == all;
    return std::nullopt;
  }

  Problem check_end() const {
    if (!due_.empty()) return fmt::format("{} is missing", to_text(due_.front()));
    if (!posted_.empty()) return "a receive is posted and never waited for";
    const auto each = static_cast<std::size_t>(shape_.stages_per_rank * shape_.num_microbatches);
    if (forwards_.size() < each || backwards_.size() < each) {
      return fmt::format("{} forwards and {} backwards run where {} of each are due",
                         forwards_.size(), backwards_.size(), each);
    }
    if (has_weight_gradients_ && weights_.size() < each) {
      return fmt::format("weight gradients of {} microbatches run, of {} are due", weights_.size(),
                         each);
    }
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      const UnitState& state = units_[unit];
      if (state.whole) return fmt::format("unit {} is never freed", unit);
      if (!state.reduced || state.reducing) return fmt::format("unit {} is never reduced", unit);
      if (!state.tied && !parts_->units[unit].tie.empty()) {
        return fmt::format("unit {} is never tied to its copies", unit);
      }
    }
    return std::nullopt;
  }

  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

  const std::vector<Step>& list_;
  int pp_rank_;
  const ScheduleContext& context_;
  const ScheduleShape& shape_;
  const RankParts* parts_ = nullptr;
  bool has_weight_gradients_ = false;
  std::deque<Step> due_;  // the rest of what runs now
  std::set<std::tuple<Action, int, int>> posted_;
  std::set<Key> forwards_, backwards_, weights_;
  std::set<Key> to_add_;  // layer, microbatch
  int in_flight_ = 0;
  std::vector<UnitState> units_;
};

// All ranks' lists side by side. A send goes on at once, a receive waits for its message, a tie for
// all that take part. Messages of one kind from one rank to another are wanted in the order in
// which they are sent: NCCL has no tags.
class JointRun {
 public:
  JointRun(const std::vector<std::vector<Step>>& lists, const ScheduleContext& context)
      : lists_(lists), context_(context), at_(lists.size(), 0) {
    for (std::size_t rank = 0; rank < context.parts.size(); ++rank) {
      for (const UnitTraffic& unit : context.parts[rank].units) {
        if (!unit.tie.empty()) ++members_[unit.tie];
      }
    }
  }

  Problem run() {
    for (bool moved = true; moved && !problem_;) {
      moved = false;
      for (std::size_t rank = 0; rank < lists_.size(); ++rank) {
        while (at_[rank] < lists_[rank].size() && passes(rank, lists_[rank][at_[rank]])) {
          ++at_[rank];
          moved = true;
        }
      }
    }
    if (problem_) return problem_;
    for (std::size_t rank = 0; rank < lists_.size(); ++rank) {
      if (at_[rank] == lists_[rank].size()) continue;
      return fmt::format("the lists never end: pipeline rank {} waits at step {}, {}", rank,
                         at_[rank], to_text(lists_[rank][at_[rank]]));
    }
    return std::nullopt;
  }

 private:
  using Message = std::pair<int, int>;  // stage, microbatch

  bool passes(std::size_t rank, const Step& step) {
    const ScheduleShape& shape = context_.shape;
    const int stage = shape.stage(static_cast<int>(rank), step.chunk);
    if (is_send(step.action)) {
      const bool forward = step.action == Action::kSendActivation;
      const int receiver = stage + (forward ? 1 : -1);
      const Action receives = forward ? Action::kRecvActivation : Action::kRecvGradient;
      mail_[{receiver % shape.pp_degree, receives}].push_back({receiver, step.microbatch});
      return true;
    }
    if (step.action == Action::kReduceTie) return passes_tie(rank, step);
    if (!is_receive(step.action)) return true;
    auto& queue = mail_[{static_cast<int>(rank), step.action}];
    if (queue.empty()) return false;
    if (queue.front() != Message{stage, step.microbatch}) {
      problem_ = fmt::format(
          "pipeline rank {} waits for {}, but what is sent to it next is of microbatch {} for "
          "stage {}",
          rank, to_text(step), queue.front().second, queue.front().first);
      return false;
    }
    queue.pop_front();
    return true;
  }

  bool passes_tie(std::size_t rank, const Step& step) {
    const std::string& tie = context_.parts[rank].units[static_cast<std::size_t>(step.unit)].tie;
    auto& arrived = arrived_[tie];
    arrived.insert(rank);
    return static_cast<int>(arrived.size()) == members_[tie];
  }

  const std::vector<std::vector<Step>>& lists_;
  const ScheduleContext& context_;
  std::vector<std::size_t> at_;
  std::map<std::pair<int, Action>, std::deque<Message>> mail_;  // of (receiver, its action)
  std::map<std::string, int> members_;
  std::map<std::string, std::set<std::size_t>> arrived_;
  Problem problem_;
};

}  // namespace

std::optional<std::string> check_schedule(const std::vector<std::vector<Step>>& lists,
                                          const ScheduleContext& context) {
  const auto ranks = static_cast<std::size_t>(context.shape.pp_degree);
  if (lists.size() != ranks) {
    return fmt::format("{} lists for {} pipeline ranks", lists.size(), ranks);
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (auto problem = RankCheck(lists[rank], static_cast<int>(rank), context).run()) {
      return problem;
    }
  }
  return JointRun(lists, context).run();
}

}  // namespace galvatron::plan
