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
      : steps_(steps), times_(stages), num_stages_(static_cast<int>(stages.size())) {
    GALV_CHECK(steps.size() == stages.size(), steps.size(), " lists for ", stages.size(),
               " stages");
    const auto slots = static_cast<std::size_t>(num_stages_ * count_microbatches(steps));
    activation_at_.assign(slots, kNever);
    gradient_at_.assign(slots, kNever);
    per_microbatch_ = count_microbatches(steps);
    stages_.resize(stages.size());
    out_.busy.resize(stages.size());
  }

  Timeline run() {
    while (advance_all()) {
    }
    for (int s = 0; s < num_stages_; ++s) {
      GALV_CHECK(done(s), "stage ", s, " waits for ever at step ", stages_[index(s)].next, " of ",
                 plan::to_text(steps_[index(s)]));
      finish_stage(s);
    }
    summarize();
    return std::move(out_);
  }

 private:
  struct StageState {
    std::size_t next = 0;
    double free_at = 0;
    double forward_link_free = 0;   // to the next stage
    double backward_link_free = 0;  // to the previous one
  };

  static std::size_t index(int stage) { return static_cast<std::size_t>(stage); }
  bool done(int stage) const { return stages_[index(stage)].next == steps_[index(stage)].size(); }
  double& slot(std::vector<double>& times, int stage, int microbatch) {
    return times[static_cast<std::size_t>(stage * per_microbatch_ + microbatch)];
  }

  bool advance_all() {
    bool progress = false;
    for (int s = 0; s < num_stages_; ++s) {
      while (!done(s) && try_step(s, steps_[index(s)][stages_[index(s)].next])) {
        ++stages_[index(s)].next;
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

  bool try_step(int stage, const plan::Step& step) {
    const double input = input_at(stage, step);
    if (input == kNever) return false;
    const bool forward = step.action == plan::Action::kForward;
    GALV_CHECK(forward || step.action == plan::Action::kBackward,
               "the simulator takes compute steps; transfers are its own");
    const StageTimes& times = times_[index(stage)];
    StageState& state = stages_[index(stage)];
    const double start = std::max(state.free_at, input);
    const double length = time_of(forward ? times.forward : times.backward, step.microbatch);
    state.free_at = start + length;
    out_.busy[index(stage)] += Milliseconds{length};
    out_.events.push_back({stage,
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
    StageState& state = stages_[index(stage)];
    double& link_free = forward ? state.forward_link_free : state.backward_link_free;
    const double start = std::max(state.free_at, link_free);
    link_free = start + times_[index(std::min(stage, receiver))].transfer.value;
    slot(forward ? activation_at_ : gradient_at_, receiver, step.microbatch) = link_free;
    if (link_free > start) {
      out_.events.push_back(
          {receiver, EventKind::kTransfer, step.microbatch, {start}, {link_free}});
    }
  }

  void finish_stage(int stage) {
    const StageTimes& times = times_[index(stage)];
    double at = stages_[index(stage)].free_at;
    out_.pipeline = std::max(out_.pipeline, Milliseconds{at});
    const auto add = [&](EventKind kind, Milliseconds length) {
      if (length.value <= 0) return;
      out_.events.push_back({stage, kind, -1, {at}, {at + length.value}});
      at += length.value;
    };
    add(EventKind::kGradientSync, times.gradient_sync);
    add(EventKind::kUpdate, times.update);
    out_.total = std::max(out_.total, Milliseconds{at});
  }

  void summarize() {
    std::stable_sort(
        out_.events.begin(), out_.events.end(),
        [](const TimelineEvent& a, const TimelineEvent& b) { return a.start < b.start; });
    double busy = 0;
    for (const Milliseconds& time : out_.busy) busy += time.value;
    const double available = out_.pipeline.value * num_stages_;
    out_.bubble_fraction = available > 0 ? 1 - busy / available : 0;
  }

  const std::vector<std::vector<plan::Step>>& steps_;
  const std::vector<StageTimes>& times_;
  int num_stages_;
  int per_microbatch_ = 0;
  std::vector<StageState> stages_;
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
  const std::string number = std::to_string(event.microbatch);
  switch (event.kind) {
    case EventKind::kForward:
      return "F" + number;
    case EventKind::kBackward:
      return "B" + number;
    case EventKind::kTransfer:
      return "transfer " + number;
    case EventKind::kGradientSync:
      return "reduce gradients";
    case EventKind::kUpdate:
      return "update";
  }
  return "";
}

Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages) {
  return Simulator(steps, stages).run();
}

Timeline simulate(plan::ScheduleKind schedule, int num_microbatches,
                  const std::vector<StageTimes>& stages) {
  const int num_stages = static_cast<int>(stages.size());
  std::vector<std::vector<plan::Step>> steps;
  for (int stage = 0; stage < num_stages; ++stage) {
    steps.push_back(plan::make_schedule(schedule, stage, num_stages, num_microbatches));
  }
  return simulate(steps, stages);
}

OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title) {
  const int num_stages = static_cast<int>(timeline.busy.size());
  OrderedJson events = OrderedJson::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", 0}, {"args", {{"name", title}}}});
  for (int stage = 0; stage < num_stages; ++stage) {
    const std::string name = "stage " + std::to_string(stage);
    events.push_back(thread_name(2 * stage, name));
    events.push_back(thread_name(2 * stage + 1, name + " receives"));
  }
  constexpr double kMicrosecondsPerMs = 1000;
  for (const TimelineEvent& event : timeline.events) {
    const int thread = 2 * event.stage + (event.kind == EventKind::kTransfer ? 1 : 0);
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
