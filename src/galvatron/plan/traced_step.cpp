#include "galvatron/plan/traced_step.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace galvatron::plan {
namespace {

struct Span {
  std::string name, category, part;
  double start = 0, end = 0;  // microseconds
};

// Names of messages are alike on both sides: "activation 3 to stage 1".
using SendTimes = std::map<std::pair<std::int64_t, std::string>, double>;  // by step and message

std::string text_of(const OrderedJson& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : "";
}

double number_of(const OrderedJson& object, const char* key, double otherwise) {
  if (!object.is_object()) return otherwise;
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

// What of "wait for activation 3 to stage 1" and "send activation 3 to stage 1" is the message.
std::string message_of(const std::string& name, const std::string& verb) {
  return name.starts_with(verb) ? name.substr(verb.size()) : "";
}

class StepReader {
 public:
  StepReader(const OrderedJson& trace, const Plan& plan, int pp_rank) {
    const auto events = trace.is_object() ? trace.find("traceEvents") : trace.end();
    if (!trace.is_object() || events == trace.end() || !events->is_array()) return;
    for (const OrderedJson& event : *events) {
      if (text_of(event, "ph") != "X") continue;
      const double rank = number_of(event, "tid", -1);
      if (!(rank >= 0 && rank < plan.world_size)) continue;
      take(event, plan.pp_rank_of(static_cast<int>(rank)) == pp_rank, static_cast<int>(rank));
    }
  }

  std::optional<TracedStep> read() {
    if (spans_.empty()) return std::nullopt;
    std::map<std::int64_t, int> steps;
    for (auto& [key, spans] : spans_) {
      add(std::move(spans), key.first);
      ++steps[key.first];
    }
    const double count = static_cast<double>(spans_.size());
    for (std::size_t i = 0; i < kNumStepKinds; ++i) out_.ms[static_cast<StepKind>(i)] /= count;
    out_.step = Milliseconds{out_.ms.sum()};
    out_.num_steps = static_cast<int>(steps.size());
    return out_;
  }

 private:
  void take(const OrderedJson& event, bool counts, int rank) {
    constexpr double kMost = 1e15;
    Span span{text_of(event, "name"), text_of(event, "cat"), "", 0, 0};
    const auto arguments = event.find("args");
    const OrderedJson none = OrderedJson::object();
    const OrderedJson& args = arguments == event.end() ? none : *arguments;
    span.part = text_of(args, "part");
    span.start = std::clamp(number_of(event, "ts", 0), -kMost, kMost);
    span.end = span.start + std::clamp(number_of(event, "dur", 0), 0.0, kMost);
    const auto step = static_cast<std::int64_t>(std::clamp(number_of(args, "step", 0), 0.0, kMost));
    const std::string message = message_of(span.name, "send ");
    if (!message.empty()) sent_.emplace(std::pair(step, message), span.start);
    if (counts) spans_[{step, rank}].push_back(std::move(span));
  }

  static std::optional<StepKind> kind_of(const Span& span) {
    if (const auto kind = find_enum<StepKind>(span.part)) return kind;
    if (span.category == "forward") return StepKind::kForward;
    if (span.category == "backward") return StepKind::kBackward;
    if (span.category == "optimizer") return StepKind::kOptimizer;
    return std::nullopt;
  }

  void count(const Span& span, std::int64_t step, double own) {
    constexpr double kMicroseconds = 1000;  // of a millisecond
    const double ms = own / kMicroseconds;
    if (span.category == kWaitInside) out_.tells_collectives = true;
    if (span.part != kNeighbour) {
      out_.ms[kind_of(span).value_or(StepKind::kRest)] += ms;
      return;
    }
    const auto sent = sent_.find({step, message_of(span.name, "wait for ")});
    const double length = span.end - span.start;
    const double until = sent == sent_.end() ? span.start : sent->second;
    const double early = length > 0 ? std::clamp(until - span.start, 0.0, length) / length : 0;
    out_.ms[StepKind::kBubble] += early * ms;
    out_.ms[StepKind::kTransfer] += (1 - early) * ms;
  }

  // Of one rank and step: each event's own time, and what none of them covers.
  void add(std::vector<Span> spans, std::int64_t step) {
    std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
      return a.start != b.start ? a.start < b.start : a.end > b.end;
    });
    double end = spans.front().start;
    for (const Span& span : spans) end = std::max(end, span.end);
    Span whole{"step", kWholeStep, "", spans.front().start, end};
    if (spans.front().category != kWholeStep) spans.insert(spans.begin(), std::move(whole));
    std::vector<double> own;
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < spans.size(); ++i) {
      while (!open.empty() && spans[open.back()].end <= spans[i].start) open.pop_back();
      // What reaches beyond its parent is cut: clocks of two threads differ by a tick.
      if (!open.empty()) spans[i].end = std::min(spans[i].end, spans[open.back()].end);
      own.push_back(spans[i].end - spans[i].start);
      if (!open.empty()) own[open.back()] -= own.back();
      open.push_back(i);
    }
    for (std::size_t i = 0; i < spans.size(); ++i) count(spans[i], step, std::max(own[i], 0.0));
  }

  std::map<std::pair<std::int64_t, int>, std::vector<Span>> spans_;  // by step and rank
  SendTimes sent_;
  TracedStep out_;
};

}  // namespace

std::optional<TracedStep> traced_step(const OrderedJson& trace, const Plan& plan, int pp_rank) {
  return StepReader(trace, plan, pp_rank).read();
}

}  // namespace galvatron::plan
