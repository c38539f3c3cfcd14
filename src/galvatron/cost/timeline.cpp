#include "galvatron/cost/timeline.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::cost {
namespace {

constexpr double kNever = -1;

int count_microbatches(const std::vector<std::vector<plan::Step>>& steps) {
  int count = 0;
  for (const auto& list : steps) {
    for (const plan::Step& step : list) count = std::max(count, step.microbatch + 1);
  }
  return count;
}

// Of microbatches with one entry each, or one for all.
template <typename T>
const T& of_microbatch(const std::vector<T>& times, int microbatch) {
  GALV_CHECK(!times.empty(), "a stage without times");
  return times.size() == 1 ? times.front() : times.at(static_cast<std::size_t>(microbatch));
}

PassTime& operator+=(PassTime& a, const PassTime& b) {
  a.inside += b.inside;
  a.compute += b.compute;
  a.recompute += b.recompute;
  return a;
}

EventKind kind_of(plan::Action compute) {
  switch (compute) {
    case plan::Action::kForward:
      return EventKind::kForward;
    case plan::Action::kBackward:
      return EventKind::kBackward;
    default:
      return EventKind::kWeightGradient;
  }
}

// Collectives of one rank's parameter units, one after the other. The clock stands where the rank
// has come to: alone they run at their own pace, beside compute both are slower, and beside a
// layer's own collectives they stand still where these use the same links.
class Lane {
 public:
  void add(TimelineEvent event, const Traffic& traffic, double now) {
    const ByLinks& length = traffic.time;
    if (length.total().value <= 0) return;
    run_until(now);
    jobs_.push_back(
        {std::move(event), length.total().value, length.crosses_nodes(), traffic.overlap});
  }

  // When nothing that `waits` for is left. REQUIRES: `now` is not before what was asked before.
  template <typename Waits>
  double wait(double now, Waits waits) {
    run_until(now);
    const auto is_waited_for = [&](const Job& job) { return waits(job.event); };
    while (std::any_of(jobs_.begin(), jobs_.end(), is_waited_for))
      advance(jobs_.front().left, jobs_.front().left);
    return clock_;
  }
  double wait_for(EventKind kind, int unit, double now) {
    return wait(
        now, [&](const TimelineEvent& event) { return event.kind == kind && event.unit == unit; });
  }

  // A layer from `now` on. When it ends.
  double run_beside(const PassTime& pass, double now) {
    using Found = std::optional<profiles::Overlap>;
    run_until(now);
    run_beside(pass.inside.intra_node, [](const Job& job) {
      return job.crosses_nodes ? Found(profiles::Overlap{}) : std::nullopt;
    });
    run_beside(pass.inside.inter_node, [](const Job& job) {
      return job.crosses_nodes ? std::nullopt : Found(profiles::Overlap{});
    });
    run_beside(pass.compute, [](const Job& job) { return Found(job.overlap); });
    return clock_;
  }

  const std::vector<TimelineEvent>& events() const { return done_; }

 private:
  struct Job {
    TimelineEvent event;
    double left = 0;
    bool crosses_nodes = false;
    profiles::Overlap overlap = {};
    bool is_running = false;
  };

  // Something of the rank, and what it and a job beside it cost each other; nullopt: the job waits.
  template <typename OverlapOf>
  void run_beside(Milliseconds length, OverlapOf overlap_of) {
    double left = length.value;
    while (left > 0 && !jobs_.empty()) {
      const std::optional<profiles::Overlap> overlap = overlap_of(jobs_.front());
      if (!overlap) break;
      const double job = jobs_.front().left;
      const double mine = left * overlap->compute, its = job * overlap->communication;
      left = its < mine ? left - its / overlap->compute : 0;
      its > mine ? advance(mine, mine / overlap->communication) : advance(its, job);
    }
    clock_ += left;
  }

  void run_until(double now) {
    while (!jobs_.empty() && clock_ < now) {
      const double alone = std::min(jobs_.front().left, now - clock_);
      advance(alone, alone);
    }
    clock_ = std::max(clock_, now);
  }

  // By `work` of the first job.
  void advance(double ms, double work) {
    Job& job = jobs_.front();
    if (!job.is_running) job.event.start = {clock_};
    job.is_running = true;
    job.left -= work;
    clock_ += ms;
    if (job.left > 0) return;
    job.event.end = {clock_};
    done_.push_back(job.event);
    jobs_.pop_front();
  }

  double clock_ = 0;
  std::deque<Job> jobs_;
  std::vector<TimelineEvent> done_;
};

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
    ranks_.resize(steps.size());
    for (int rank = 0; rank < num_ranks_; ++rank) look_through(rank);
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
    bool splits_backward = false, names_transfers = false;
    double free_at = 0;
    double computed_at = 0;             // end of its last compute step
    double forward_link_free = 0;       // activations to the next rank
    double backward_link_free = 0;      // gradients to the one before
    std::vector<int> reductions_ahead;  // [unit]
    bool is_at_tie = false;
    Lane lane;
    std::size_t last_event = static_cast<std::size_t>(-1);
  };
  struct Tie {
    int members = 0, arrived = 0;
    double at = 0;  // when the last of them has come
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

  // What a list holds, before it runs.
  void look_through(int rank) {
    RankState& state = ranks_[index(rank)];
    if (!traffic_.empty()) {
      const RankTraffic& traffic = traffic_[index(rank)];
      state.reductions_ahead.assign(traffic.parts.units.size(), 0);
      for (const plan::UnitTraffic& unit : traffic.parts.units) {
        if (!unit.tie.empty()) ++ties_[unit.tie].members;
      }
    }
    for (const plan::Step& step : steps_[index(rank)]) {
      state.splits_backward |= step.action == plan::Action::kWeightGradient;
      state.names_transfers |= plan::is_send(step.action) || plan::is_receive(step.action);
      if (step.action == plan::Action::kReduce) ++state.reductions_ahead.at(index(step.unit));
    }
  }

  bool try_step(int rank, const plan::Step& step) {
    RankState& state = ranks_[index(rank)];
    switch (step.action) {
      case plan::Action::kForward:
      case plan::Action::kBackward:
      case plan::Action::kWeightGradient:
        return compute(rank, step);
      case plan::Action::kRecvActivation:
      case plan::Action::kRecvGradient:
        return receive(rank, step);
      case plan::Action::kSendActivation:
      case plan::Action::kSendGradient:
        send(stage_of(rank, step), step, step.action == plan::Action::kSendActivation);
        return true;
      case plan::Action::kGather:
        communicate(rank, step, EventKind::kGather, unit_time(rank, step).gather);
        return true;
      case plan::Action::kReduce:
        communicate(rank, step, EventKind::kReduce, unit_time(rank, step).reduce);
        return true;
      case plan::Action::kFinishReduce:
        state.free_at = state.lane.wait_for(EventKind::kReduce, step.unit, state.free_at);
        if (--state.reductions_ahead.at(index(step.unit)) == 0)
          communicate(rank, step, EventKind::kReduce, unit_time(rank, step).spread);
        return true;
      case plan::Action::kReduceTie:
        return tie(rank, step);
      default:  // what takes no time of its own
        return true;
    }
  }

  int stage_of(int rank, const plan::Step& step) const { return step.chunk * num_ranks_ + rank; }
  const StageTimes& times_of(int rank, const plan::Step& step) const {
    return times_[index(stage_of(rank, step))];
  }
  UnitTime unit_time(int rank, const plan::Step& step) const {
    const std::vector<UnitTime>& units = traffic_.at(index(rank)).units;
    return units.empty() ? UnitTime{} : units.at(index(step.unit));
  }
  Range layers_of(int rank, const plan::Step& step) const {
    return traffic_.at(index(rank)).parts.layers[index(step.chunk)];
  }

  // When the activation or gradient that a stage starts with is there, or kNever so far.
  double input_at(int stage, int microbatch, bool forward) {
    if (forward) return stage == 0 ? 0 : slot(activation_at_, stage, microbatch);
    return stage == num_stages_ - 1 ? 0 : slot(gradient_at_, stage, microbatch);
  }

  bool receive(int rank, const plan::Step& step) {
    const bool forward = step.action == plan::Action::kRecvActivation;
    const double at = input_at(stage_of(rank, step), step.microbatch, forward);
    if (at == kNever) return false;
    RankState& state = ranks_[index(rank)];
    state.free_at = std::max(state.free_at, at);
    return true;
  }

  // A step's layer among those of its stage, in the order in which they run: {0, 1} for the whole.
  std::pair<int, int> place_of(int rank, const plan::Step& step) const {
    if (step.layer < 0) return {0, 1};
    const Range layers = layers_of(rank, step);
    const bool forward = step.action == plan::Action::kForward;
    const std::int64_t place = forward ? step.layer - layers.begin : layers.end - 1 - step.layer;
    return {static_cast<int>(place), static_cast<int>(layers.size())};
  }

  // Of a step without regard to the parts of a backward.
  PassTime whole_pass(int rank, const plan::Step& step) const {
    const StageTimes& times = times_of(rank, step);
    const bool forward = step.action == plan::Action::kForward;
    if (times.layers.empty()) {
      const auto& of_stage = forward ? times.forward : times.backward;
      const double part = 1.0 / place_of(rank, step).second;
      PassTime whole{{}, part * of_microbatch(of_stage, step.microbatch), {}};
      if (!forward && !times.recompute.empty()) {
        whole.recompute = part * of_microbatch(times.recompute, step.microbatch);
      }
      return whole;
    }
    const auto of_layer = [&](const LayerPasses& layer) {
      return of_microbatch(forward ? layer.forward : layer.backward, step.microbatch);
    };
    if (step.layer >= 0) {
      return of_layer(times.layers.at(index(step.layer) - index(layers_of(rank, step).begin)));
    }
    PassTime sum;
    for (const LayerPasses& layer : times.layers) sum += of_layer(layer);
    return sum;
  }

  PassTime pass_of(int rank, const plan::Step& step) const {
    const PassTime whole = whole_pass(rank, step);
    if (step.action == plan::Action::kForward || !ranks_[index(rank)].splits_backward) return whole;
    const bool input = step.action == plan::Action::kBackward;
    const double share = input ? kInputGradientShare : 1 - kInputGradientShare;
    return {share * whole.inside, share * whole.compute, share * whole.recompute};
  }

  // When the parameters of a step's layer are there, from `now` on.
  double wait_for_parameters(int rank, const plan::Step& step, double now) {
    if (step.layer < 0) return now;
    const plan::RankParts& parts = traffic_[index(rank)].parts;
    if (step.action == plan::Action::kForward && step.layer == parts.loss_layer) return now;
    return ranks_[index(rank)].lane.wait(now, [&](const TimelineEvent& event) {
      return event.kind == EventKind::kGather && parts.units[index(event.unit)].used_by(step.layer);
    });
  }

  bool compute(int rank, const plan::Step& step) {
    RankState& state = ranks_[index(rank)];
    const bool forward = step.action == plan::Action::kForward;
    const bool flows = step.action != plan::Action::kWeightGradient;
    const int stage = stage_of(rank, step);
    const auto [place, count] = place_of(rank, step);
    const double input =
        flows && place == 0 ? input_at(stage, step.microbatch, forward) : state.free_at;
    if (input == kNever) return false;
    const double start = wait_for_parameters(rank, step, std::max(state.free_at, input));
    const PassTime pass = pass_of(rank, step);
    state.free_at = state.computed_at = state.lane.run_beside(pass, start);
    out_.busy[index(rank)] += Milliseconds{state.free_at - start};
    add_compute(state, stage, step, start, pass);
    if (flows && place + 1 == count && !state.names_transfers) send(stage, step, forward);
    return true;
  }

  void add_compute(RankState& state, int stage, const plan::Step& step, double start,
                   const PassTime& pass) {
    const EventKind kind = kind_of(step.action);
    const Milliseconds computing = Milliseconds{state.free_at - start} - pass.inside.total();
    const Milliseconds recompute =
        pass.recompute.value > 0 ? (pass.recompute / pass.compute) * computing : Milliseconds{};
    if (step.layer >= 0 && state.last_event < out_.events.size()) {
      TimelineEvent& last = out_.events[state.last_event];
      if (last.kind == kind && last.microbatch == step.microbatch && last.stage == stage &&
          last.end.value == start) {
        last.end = {state.free_at};
        last.recompute += recompute;
        return;
      }
    }
    state.last_event = out_.events.size();
    out_.events.push_back(
        {stage, step.chunk, kind, step.microbatch, {start}, {state.free_at}, -1, recompute});
  }

  TimelineEvent unit_event(int rank, const plan::Step& step, EventKind kind) const {
    return {stage_of(rank, step), step.chunk, kind, step.microbatch, {}, {}, step.unit};
  }

  void communicate(int rank, const plan::Step& step, EventKind kind, const Traffic& traffic) {
    RankState& state = ranks_[index(rank)];
    state.lane.add(unit_event(rank, step, kind), traffic, state.free_at);
  }

  // Starts when the last of its ranks has come.
  bool tie(int rank, const plan::Step& step) {
    RankState& state = ranks_[index(rank)];
    Tie& tie = ties_.at(traffic_.at(index(rank)).parts.units[index(step.unit)].tie);
    state.free_at = state.lane.wait_for(EventKind::kReduce, step.unit, state.free_at);
    tie.at = std::max(tie.at, state.free_at);
    if (!state.is_at_tie) ++tie.arrived;
    state.is_at_tie = tie.arrived < tie.members;
    if (state.is_at_tie) return false;
    TimelineEvent event = unit_event(rank, step, EventKind::kTie);
    event.start = {tie.at};
    state.free_at = tie.at + unit_time(rank, step).tie.value;
    event.end = {state.free_at};
    if (event.end > event.start) out_.events.push_back(std::move(event));
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
    RankState& state = ranks_[index(rank)];
    out_.pipeline = std::max(out_.pipeline, Milliseconds{state.computed_at});
    double at = state.lane.wait(state.free_at, [](const TimelineEvent&) { return true; });
    const auto& done = state.lane.events();
    out_.events.insert(out_.events.end(), done.begin(), done.end());
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
    for (int s = rank; s < num_stages_; s += num_ranks_) {
      add(s, EventKind::kParameterGather, times_[index(s)].parameter_gather);
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
  std::map<std::string, Tie> ties_;
  Timeline out_;
};

}  // namespace

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

}  // namespace galvatron::cost
