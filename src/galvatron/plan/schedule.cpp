#include "galvatron/plan/schedule.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

const char* short_name(Action action) {
  switch (action) {
    case Action::kForward:
      return "F";
    case Action::kBackward:
      return "B";
    case Action::kRecvActivation:
      return "rA";
    case Action::kSendActivation:
      return "sA";
    case Action::kRecvGradient:
      return "rG";
    case Action::kSendGradient:
      return "sG";
  }
  return "?";
}

}  // namespace

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names = {"gpipe", "1f1b"};
  return names;
}

std::string to_text(ScheduleKind kind) { return schedule_names()[static_cast<std::size_t>(kind)]; }

ScheduleKind parse_schedule(const std::string& text) {
  const auto& names = schedule_names();
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) {
    throw ConfigError("[schedule] '", text, "' is not one of gpipe, 1f1b",
                      did_you_mean(text, names));
  }
  return static_cast<ScheduleKind>(it - names.begin());
}

std::vector<Step> schedule_gpipe(int num_microbatches) {
  std::vector<Step> steps;
  for (int m = 0; m < num_microbatches; ++m) steps.push_back({Action::kForward, m});
  for (int m = num_microbatches - 1; m >= 0; --m) steps.push_back({Action::kBackward, m});
  return steps;
}

std::vector<Step> schedule_1f1b(int stage, int num_stages, int num_microbatches) {
  const int num_warmup = std::min(num_stages - stage - 1, num_microbatches);
  std::vector<Step> steps;
  for (int m = 0; m < num_warmup; ++m) steps.push_back({Action::kForward, m});
  for (int m = num_warmup; m < num_microbatches; ++m) {
    steps.push_back({Action::kForward, m});
    steps.push_back({Action::kBackward, m - num_warmup});
  }
  for (int m = num_microbatches - num_warmup; m < num_microbatches; ++m) {
    steps.push_back({Action::kBackward, m});
  }
  return steps;
}

std::vector<Step> make_schedule(ScheduleKind kind, int stage, int num_stages,
                                int num_microbatches) {
  GALV_CHECK(stage >= 0 && stage < num_stages, "stage ", stage, " of ", num_stages);
  GALV_CHECK(num_microbatches > 0, num_microbatches, " microbatches");
  switch (kind) {
    case ScheduleKind::kGPipe:
      return schedule_gpipe(num_microbatches);
    case ScheduleKind::k1F1B:
      return schedule_1f1b(stage, num_stages, num_microbatches);
  }
  return {};
}

std::vector<Step> add_transfers(const std::vector<Step>& steps, int stage, int num_stages) {
  const bool first = stage == 0;
  const bool last = stage == num_stages - 1;
  std::vector<Step> out;
  for (const Step& step : steps) {
    const bool forward = step.action == Action::kForward;
    if (forward && !first) out.push_back({Action::kRecvActivation, step.microbatch});
    if (!forward && !last) out.push_back({Action::kRecvGradient, step.microbatch});
    out.push_back(step);
    if (forward && !last) out.push_back({Action::kSendActivation, step.microbatch});
    if (!forward && !first) out.push_back({Action::kSendGradient, step.microbatch});
  }
  return out;
}

int max_in_flight(const std::vector<Step>& steps) {
  int in_flight = 0;
  int largest = 0;
  for (const Step& step : steps) {
    if (step.action == Action::kForward) largest = std::max(largest, ++in_flight);
    if (step.action == Action::kBackward) --in_flight;
  }
  return largest;
}

std::string to_text(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) {
    if (!out.empty()) out += ' ';
    out += short_name(step.action) + std::to_string(step.microbatch);
  }
  return out;
}

}  // namespace galvatron::plan
