#include "galvatron/plan/schedule.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"

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

// In which order the forwards run, as (microbatch, chunk): the same on every pipeline rank.
// Backwards run in the same order with the chunks turned round.
std::vector<Step> interleaved_order(int pp_degree, int stages_per_rank, int num_microbatches) {
  const int padded = std::max(num_microbatches, pp_degree);
  const int num_groups = padded / pp_degree;
  std::vector<Step> order;
  for (int group = 0; group < num_groups; ++group) {
    const Range members = chunk(padded, num_groups, group);
    for (int c = 0; c < stages_per_rank; ++c) {
      for (auto m = static_cast<int>(members.begin); m < static_cast<int>(members.end); ++m) {
        order.push_back({Action::kForward, m, c});
      }
    }
  }
  return order;
}

}  // namespace

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names = {"gpipe", "1f1b", "interleaved"};
  return names;
}

std::string to_text(ScheduleKind kind) { return schedule_names()[static_cast<std::size_t>(kind)]; }

ScheduleKind parse_schedule(const std::string& text) {
  const auto& names = schedule_names();
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) {
    throw ConfigError("[schedule] '", text, "' is not one of gpipe, 1f1b, interleaved",
                      did_you_mean(text, names));
  }
  return static_cast<ScheduleKind>(it - names.begin());
}

int usual_stages_per_rank(ScheduleKind kind) { return kind == ScheduleKind::kInterleaved ? 2 : 1; }

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

std::vector<Step> schedule_interleaved_1f1b(int pp_rank, int pp_degree, int stages_per_rank,
                                            int num_microbatches) {
  const auto order = interleaved_order(pp_degree, stages_per_rank, num_microbatches);
  const auto total = static_cast<int>(order.size());
  const int padded = std::max(num_microbatches, pp_degree);
  const auto largest_group = static_cast<int>(largest_chunk(padded, padded / pp_degree));
  // A group's forwards through all chunks but the last, and the way to the last rank and back.
  const int num_warmup =
      std::min(total, (stages_per_rank - 1) * largest_group + 2 * (pp_degree - pp_rank - 1));
  std::vector<Step> steps;
  const auto add = [&](Action action, int index) {
    Step step = order[static_cast<std::size_t>(index)];
    if (step.microbatch >= num_microbatches) return;
    step.action = action;
    if (action == Action::kBackward) step.chunk = stages_per_rank - 1 - step.chunk;
    steps.push_back(step);
  };
  for (int i = 0; i < num_warmup; ++i) add(Action::kForward, i);
  for (int i = num_warmup; i < total; ++i) {
    add(Action::kForward, i);
    add(Action::kBackward, i - num_warmup);
  }
  for (int i = total - num_warmup; i < total; ++i) add(Action::kBackward, i);
  return steps;
}

std::vector<Step> make_schedule(ScheduleKind kind, int pp_rank, int pp_degree, int num_microbatches,
                                int stages_per_rank) {
  GALV_CHECK(pp_rank >= 0 && pp_rank < pp_degree, "pipeline rank ", pp_rank, " of ", pp_degree);
  GALV_CHECK(num_microbatches > 0, num_microbatches, " microbatches");
  GALV_CHECK(stages_per_rank > 0, stages_per_rank, " stages per rank");
  GALV_CHECK(stages_per_rank == 1 || kind == ScheduleKind::kInterleaved, stages_per_rank,
             " stages per rank under ", to_text(kind));
  switch (kind) {
    case ScheduleKind::kGPipe:
      return schedule_gpipe(num_microbatches);
    case ScheduleKind::k1F1B:
      return schedule_1f1b(pp_rank, pp_degree, num_microbatches);
    case ScheduleKind::kInterleaved:
      return schedule_interleaved_1f1b(pp_rank, pp_degree, stages_per_rank, num_microbatches);
  }
  return {};
}

std::vector<Step> add_transfers(const std::vector<Step>& steps, int pp_rank, int pp_degree,
                                int stages_per_rank) {
  const int last_stage = pp_degree * stages_per_rank - 1;
  std::vector<Step> out;
  for (const Step& step : steps) {
    const int stage = step.chunk * pp_degree + pp_rank;
    const bool forward = step.action == Action::kForward;
    const bool first = stage == 0, last = stage == last_stage;
    const auto add = [&](Action action) { out.push_back({action, step.microbatch, step.chunk}); };
    if (forward && !first) add(Action::kRecvActivation);
    if (!forward && !last) add(Action::kRecvGradient);
    out.push_back(step);
    if (forward && !last) add(Action::kSendActivation);
    if (!forward && !first) add(Action::kSendGradient);
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
    if (step.chunk > 0) out += '.' + std::to_string(step.chunk);
  }
  return out;
}

}  // namespace galvatron::plan
