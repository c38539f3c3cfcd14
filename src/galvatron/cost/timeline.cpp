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

class Simulator {
 public:
  Simulator(const std::vector<std::vector<plan::Step>>& steps,
            const std::vector<StageTimes>& stages)
      : steps_(steps),
        times_(stages),
        num_ranks_(static_cast<int>(steps.size())),
        num_stages_(static_cast<int>(stages.size())) {
    GALV_CHECK(num_ranks_ > 0 && num_stages_ % num_ranks_ == 0, steps.size(), " lists for ",
               stages.size(), " stages");
    const auto slots = static_cast<std::size_t>(num_stages_ * count_microbatches(steps));
    activation_at_.assign(slots, kNever);
    gradient_at_.assign(slots, kNever);
    per_microbatch_ = count_microbatches(steps);
    ranks_.resize(steps.size());
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
    double free_at = 0;
    double forward_link_free = 0;   // activations to the next rank
    double backward_link_free = 0;  // gradients to the one before
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

  // When the input of a step is there, or kNever so far.
  double input_at(int stage, const plan::Step& step) {
    if (step.action == plan::Action::kForward) {
      return stage == 0 ? 0 : slot(activation_at_, stage, step.microbatch);
    }
    return stage == num_stages_ - 1 ? 0 : slot(gradient_at_, stage, step.microbatch);
  }

  bool try_step(int rank, const plan::Step& step) {
    const int stage = step.chunk * num_ranks_ + rank;
    const double input = input_at(stage, step);
    if (input == kNever) return false;
    const bool forward = step.action == plan::Action::kForward;
    GALV_CHECK(forward || step.action == plan::Action::kBackward,
               "the simulator takes compute steps; transfers are its own");
    const StageTimes& times = times_[index(stage)];
    RankState& state = ranks_[index(rank)];
    const double start = std::max(state.free_at, input);
    const double length = time_of(forward ? times.forward : times.backward, step.microbatch);
    state.free_at = start + length;
    out_.busy[index(rank)] += Milliseconds{length};
    out_.events.push_back({stage,
                           step.chunk,
                           forward ? EventKind::kForward : EventKind::kBackward,
                           step.microbatch,
                           {start},
                           {state.free_at}});
    send(stage, step, forward);
    return true;
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
    case EventKind::kTransfer:
      return "transfer";
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
    case EventKind::kTransfer:
      return "transfer " + number;
    case EventKind::kGradientSync:
      return "reduce gradients" + chunk;
    case EventKind::kUpdate:
      return "update" + chunk;
  }
  return "";
}

Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages) {
  return Simulator(steps, stages).run();
}

Timeline simulate(plan::ScheduleKind schedule, int num_microbatches,
                  const std::vector<StageTimes>& stages, int stages_per_rank) {
  const int pp_degree = static_cast<int>(stages.size()) / stages_per_rank;
  std::vector<std::vector<plan::Step>> steps;
  for (int rank = 0; rank < pp_degree; ++rank) {
    steps.push_back(
        plan::make_schedule(schedule, rank, pp_degree, num_microbatches, stages_per_rank));
  }
  return simulate(steps, stages);
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
  constexpr double kMicrosecondsPerMs = 1000;
  for (const TimelineEvent& event : timeline.events) {
    const int thread = 2 * (event.stage % num_ranks) + (event.kind == EventKind::kTransfer ? 1 : 0);
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
