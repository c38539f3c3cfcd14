#include "galvatron/cost/timeline.h"

#include <algorithm>
#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::cost {
namespace {

constexpr double kNever = -1;

double time_of(const std::vector<Milliseconds>& times, int microbatch) {
  GALV_CHECK(!times.empty(), "a stage without times");
  if (times.size() == 1) return times.front().value;
  return times.at(static_cast<std::size_t>(microbatch)).value;
}

int count_microbatches(const std::vector<std::vector<plan::Step>>& steps) {
  int count = 0;
  for (const auto& list : steps) {
    for (const plan::Step& step : list) count = std::max(count, step.microbatch + 1);
  }
  return count;
}

bool has_weight_gradients(const std::vector<plan::Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const plan::Step& step) {
    return step.action == plan::Action::kWeightGradient;
  });
}

class Simulator {
 public:
  Simulator(const std::vector<std::vector<plan::Step>>& steps,
            const std::vector<StageTimes>& stages, const std::vector<RankTraffic>& traffic)
      : steps_(steps),
        times_(stages),
        traffic_(traffic),
        num_ranks_(static_cast<int>(steps.size())),
        num_stages_(static_cast<int>(stages.size())) {
    GALV_CHECK(num_ranks_ > 0 && num_stages_ % num_ranks_ == 0, steps.size(), " lists for ",
               stages.size(), " stages");
    GALV_CHECK(traffic.empty() || traffic.size() == steps.size(), traffic.size(), " traffics for ",
               steps.size(), " lists");
    const auto slots = static_cast<std::size_t>(num_stages_ * count_microbatches(steps));
    activation_at_.assign(slots, kNever);
    gradient_at_.assign(slots, kNever);
    per_microbatch_ = count_microbatches(steps);
    for (const auto& list : steps) {
      ranks_.emplace_back().splits_backward = has_weight_gradients(list);
    }
    for (std::size_t rank = 0; rank < traffic.size(); ++rank) {
      ranks_[rank].gathered_at.assign(traffic[rank].parts.units.size(), 0);
      ranks_[rank].reduced_at.assign(traffic[rank].parts.units.size(), 0);
    }
    out_.busy.resize(steps.size());
  }

  Timeline run() {
    while (advance_all()) {
    }
    for (int rank = 0; rank < num_ranks_; ++rank) {
      GALV_CHECK(done(rank), "pipeline rank ", rank, " waits for ever at step ",
                 ranks_[index(rank)].next, " of ", plan::to_text(steps_[index(rank)]));
      finish_rank(rank);
    }
    summarize();
    return std::move(out_);
  }

 private:
  struct RankState {
    std::size_t next = 0;
    bool splits_backward = false;
    double free_at = 0;
    double lane_free = 0;                         // gathers and reductions
    double forward_link_free = 0;                 // activations to the next rank
    double backward_link_free = 0;                // gradients to the one before
    std::vector<double> gathered_at, reduced_at;  // [unit]
    std::size_t last_event = static_cast<std::size_t>(-1);
  };

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  bool done(int rank) const { return ranks_[index(rank)].next == steps_[index(rank)].size(); }
  int rank_of(int stage) const { return stage % num_ranks_; }
  double& slot(std::vector<double>& times, int stage, int microbatch) {
    return times[static_cast<std::size_t>(stage * per_microbatch_ + microbatch)];
  }

  bool advance_all() {
    bool progress = false;
    for (int rank = 0; rank < num_ranks_; ++rank) {
      while (!done(rank) && try_step(rank, steps_[index(rank)][ranks_[index(rank)].next])) {
        ++ranks_[index(rank)].next;
        progress = true;
      }
    }
    return progress;
  }

  bool try_step(int rank, const plan::Step& step) {
    RankState& state = ranks_[index(rank)];
    switch (step.action) {
      case plan::Action::kForward:
      case plan::Action::kBackward:
      case plan::Action::kWeightGradient:
        return compute(rank, step);
      case plan::Action::kGather:
        state.gathered_at[index(step.unit)] = occupy_lane(rank, step, EventKind::kGather);
        return true;
      case plan::Action::kReduce:
        state.reduced_at[index(step.unit)] = occupy_lane(rank, step, EventKind::kReduce);
        return true;
      case plan::Action::kFinishReduce:
        state.free_at = std::max(state.free_at, state.reduced_at[index(step.unit)]);
        return true;
      default:  // transfers, which send() makes, and what takes no time of its own
        return true;
    }
  }

  // When the input of a stage's step is there, or kNever so far.
  double input_at(int stage, const plan::Step& step) {
    switch (step.action) {
      case plan::Action::kForward:
        return stage == 0 ? 0 : slot(activation_at_, stage, step.microbatch);
      case plan::Action::kBackward:
        return stage == num_stages_ - 1 ? 0 : slot(gradient_at_, stage, step.microbatch);
      default:
        return 0;
    }
  }

  // A step's layer among those of its stage, in the order in which they run: {0, 1} for the whole.
  std::pair<int, int> place_of(int rank, const plan::Step& step) const {
    if (step.layer < 0) return {0, 1};
    const Range layers = traffic_.at(index(rank)).parts.layers[index(step.chunk)];
    const bool forward = step.action == plan::Action::kForward;
    const std::int64_t place = forward ? step.layer - layers.begin : layers.end - 1 - step.layer;
    return {static_cast<int>(place), static_cast<int>(layers.size())};
  }

  double length_of(int rank, const plan::Step& step, int count) const {
    const StageTimes& times = times_[index(step.chunk * num_ranks_ + rank)];
    const bool forward = step.action == plan::Action::kForward;
    double length = time_of(forward ? times.forward : times.backward, step.microbatch);
    if (!forward && ranks_[index(rank)].splits_backward) {
      const bool input = step.action == plan::Action::kBackward;
      length *= input ? kInputGradientShare : 1 - kInputGradientShare;
    }
    if (step.layer < 0) return length;
    if (times.layer_share.empty()) return length / count;
    const Range layers = traffic_[index(rank)].parts.layers[index(step.chunk)];
    return length * times.layer_share.at(static_cast<std::size_t>(step.layer - layers.begin));
  }

  // When the parameters of a step's layer are there.
  double parameters_at(int rank, const plan::Step& step) const {
    double at = 0;
    if (step.layer < 0) return at;
    const plan::RankParts& parts = traffic_[index(rank)].parts;
    const bool forward = step.action == plan::Action::kForward;
    if (forward && step.layer == parts.loss_layer) return at;
    for (std::size_t unit = 0; unit < parts.units.size(); ++unit) {
      if (!parts.units[unit].gathers || !parts.units[unit].used_by(step.layer)) continue;
      at = std::max(at, ranks_[index(rank)].gathered_at[unit]);
    }
    return at;
  }

  bool compute(int rank, const plan::Step& step) {
    const int stage = step.chunk * num_ranks_ + rank;
    const auto [place, count] = place_of(rank, step);
    const double input = place == 0 ? input_at(stage, step) : 0;
    if (input == kNever) return false;
    RankState& state = ranks_[index(rank)];
    const double start = std::max({state.free_at, input, parameters_at(rank, step)});
    const double length = length_of(rank, step, count);
    state.free_at = start + length;
    out_.busy[index(rank)] += Milliseconds{length};
    add_compute(state, stage, step, start);
    if (place + 1 == count && step.action != plan::Action::kWeightGradient) {
      send(stage, step, step.action == plan::Action::kForward);
    }
    return true;
  }

  void add_compute(RankState& state, int stage, const plan::Step& step, double start) {
    const EventKind kind = step.action == plan::Action::kForward    ? EventKind::kForward
                           : step.action == plan::Action::kBackward ? EventKind::kBackward
                                                                    : EventKind::kWeightGradient;
    if (step.layer >= 0 && state.last_event < out_.events.size()) {
      TimelineEvent& last = out_.events[state.last_event];
      if (last.kind == kind && last.microbatch == step.microbatch && last.stage == stage &&
          last.end.value == start) {
        last.end = {state.free_at};
        return;
      }
    }
    state.last_event = out_.events.size();
    out_.events.push_back({stage, step.chunk, kind, step.microbatch, {start}, {state.free_at}});
  }

  double occupy_lane(int rank, const plan::Step& step, EventKind kind) {
    RankState& state = ranks_[index(rank)];
    const RankTraffic& traffic = traffic_.at(index(rank));
    const auto& times = kind == EventKind::kGather ? traffic.gather : traffic.reduce;
    const double length = times.empty() ? 0 : times.at(index(step.unit)).value;
    if (length == 0) return 0;
    const double start = std::max(state.free_at, state.lane_free);
    state.lane_free = start + length;
    out_.events.push_back({step.chunk * num_ranks_ + rank,
                           step.chunk,
                           kind,
                           step.microbatch,
                           {start},
                           {state.lane_free},
                           step.unit});
    return state.lane_free;
  }

  void send(int stage, const plan::Step& step, bool forward) {
    const int receiver = forward ? stage + 1 : stage - 1;
    if (receiver < 0 || receiver >= num_stages_) return;
    RankState& state = ranks_[index(rank_of(stage))];
    double& link_free = forward ? state.forward_link_free : state.backward_link_free;
    const double start = std::max(state.free_at, link_free);
    link_free = start + times_[index(std::min(stage, receiver))].transfer.value;
    slot(forward ? activation_at_ : gradient_at_, receiver, step.microbatch) = link_free;
    if (link_free > start) {
      out_.events.push_back({receiver,
                             receiver / num_ranks_,
                             EventKind::kTransfer,
                             step.microbatch,
                             {start},
                             {link_free}});
    }
  }

  void finish_rank(int rank) {
    double at = ranks_[index(rank)].free_at;
    out_.pipeline = std::max(out_.pipeline, Milliseconds{at});
    const auto add = [&](int stage, EventKind kind, Milliseconds length) {
      if (length.value <= 0) return;
      out_.events.push_back({stage, stage / num_ranks_, kind, -1, {at}, {at + length.value}});
      at += length.value;
    };
    for (int s = rank; s < num_stages_; s += num_ranks_) {
      add(s, EventKind::kGradientSync, times_[index(s)].gradient_sync);
    }
    for (int s = rank; s < num_stages_; s += num_ranks_) {
      add(s, EventKind::kUpdate, times_[index(s)].update);
    }
    out_.total = std::max(out_.total, Milliseconds{at});
  }

  void summarize() {
    std::stable_sort(
        out_.events.begin(), out_.events.end(),
        [](const TimelineEvent& a, const TimelineEvent& b) { return a.start < b.start; });
    double busy = 0;
    for (const Milliseconds& time : out_.busy) busy += time.value;
    const double available = out_.pipeline.value * num_ranks_;
    out_.bubble_fraction = available > 0 ? 1 - busy / available : 0;
  }

  const std::vector<std::vector<plan::Step>>& steps_;
  const std::vector<StageTimes>& times_;
  const std::vector<RankTraffic>& traffic_;
  int num_ranks_;
  int num_stages_;
  int per_microbatch_ = 0;
  std::vector<RankState> ranks_;
  std::vector<double> activation_at_, gradient_at_;  // [stage][microbatch]: arrival
  Timeline out_;
};

const char* category(EventKind kind) {
  switch (kind) {
    case EventKind::kForward:
      return "forward";
    case EventKind::kBackward:
      return "backward";
    case EventKind::kWeightGradient:
      return "weight gradient";
    case EventKind::kTransfer:
      return "transfer";
    case EventKind::kGather:
      return "gather";
    case EventKind::kReduce:
      return "reduce";
    case EventKind::kGradientSync:
      return "gradient sync";
    case EventKind::kUpdate:
      return "update";
  }
  return "";
}

OrderedJson thread_name(int thread, const std::string& name) {
  return {{"name", "thread_name"},
          {"ph", "M"},
          {"pid", 0},
          {"tid", thread},
          {"args", {{"name", name}}}};
}

}  // namespace

std::string to_text(const TimelineEvent& event) {
  const std::string chunk = event.chunk > 0 ? "." + std::to_string(event.chunk) : "";
  const std::string number = std::to_string(event.microbatch) + chunk;
  switch (event.kind) {
    case EventKind::kForward:
      return "F" + number;
    case EventKind::kBackward:
      return "B" + number;
    case EventKind::kWeightGradient:
      return "W" + number;
    case EventKind::kTransfer:
      return "transfer " + number;
    case EventKind::kGather:
      return "gather " + std::to_string(event.unit);
    case EventKind::kReduce:
      return "reduce " + std::to_string(event.unit);
    case EventKind::kGradientSync:
      return "reduce gradients" + chunk;
    case EventKind::kUpdate:
      return "update" + chunk;
  }
  return "";
}

Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages, const std::vector<RankTraffic>& traffic) {
  return Simulator(steps, stages, traffic).run();
}

Timeline simulate(plan::ScheduleKind schedule, int num_microbatches,
                  const std::vector<StageTimes>& stages, int stages_per_rank) {
  const int pp_degree = static_cast<int>(stages.size()) / stages_per_rank;
  return simulate(plan::make_schedules(schedule, {pp_degree, num_microbatches, stages_per_rank}),
                  stages);
}

OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title) {
  const int num_ranks = static_cast<int>(timeline.busy.size());
  const bool interleaved = std::any_of(timeline.events.begin(), timeline.events.end(),
                                       [](const TimelineEvent& event) { return event.chunk > 0; });
  OrderedJson events = OrderedJson::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", 0}, {"args", {{"name", title}}}});
  for (int rank = 0; rank < num_ranks; ++rank) {
    const std::string name = (interleaved ? "pipeline rank " : "stage ") + std::to_string(rank);
    events.push_back(thread_name(2 * rank, name));
    events.push_back(thread_name(2 * rank + 1, name + " receives"));
  }
  const auto on_lane = [](const TimelineEvent& event) { return event.unit >= 0; };
  if (std::any_of(timeline.events.begin(), timeline.events.end(), on_lane)) {
    for (int rank = 0; rank < num_ranks; ++rank) {
      const std::string name = (interleaved ? "pipeline rank " : "stage ") + std::to_string(rank);
      events.push_back(thread_name(2 * num_ranks + rank, name + " gathers and reduces"));
    }
  }
  constexpr double kMicrosecondsPerMs = 1000;
  for (const TimelineEvent& event : timeline.events) {
    const int rank = event.stage % num_ranks;
    const int thread = on_lane(event) ? 2 * num_ranks + rank
                                      : 2 * rank + (event.kind == EventKind::kTransfer ? 1 : 0);
    events.push_back({{"name", to_text(event)},
                      {"cat", category(event.kind)},
                      {"ph", "X"},
                      {"ts", event.start.value * kMicrosecondsPerMs},
                      {"dur", (event.end - event.start).value * kMicrosecondsPerMs},
                      {"pid", 0},
                      {"tid", thread}});
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
}

}  // namespace galvatron::cost
