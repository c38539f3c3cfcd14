#include "galvatron/plan/schedule.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

const char* short_name(Action action) {
  switch (action) {
    case Action::kForward:
      return "F";
    case Action::kBackward:
      return "B";
    case Action::kWeightGradient:
      return "W";
    case Action::kRecvActivation:
      return "rA";
    case Action::kSendActivation:
      return "sA";
    case Action::kRecvGradient:
      return "rG";
    case Action::kSendGradient:
      return "sG";
    case Action::kPostActivation:
      return "pA";
    case Action::kPostGradient:
      return "pG";
    case Action::kMoveActivation:
      return "mA";
    case Action::kMoveGradient:
      return "mG";
    case Action::kGather:
      return "G";
    case Action::kFree:
      return "X";
    case Action::kAddGradients:
      return "A";
    case Action::kReduce:
      return "R";
    case Action::kFinishReduce:
      return "wR";
    case Action::kReduceTie:
      return "T";
  }
  return "?";
}

}  // namespace

const ScheduleTraits& traits(ScheduleKind kind) {
  const auto all = schedules();
  const auto index = static_cast<std::size_t>(kind);
  GALV_CHECK(index < all.size() && all[index].kind == kind, "no traits of schedule ", index);
  return all[index];
}

std::string to_text(ScheduleKind kind) { return traits(kind).name; }

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const ScheduleTraits& one : schedules()) out.emplace_back(one.name);
    return out;
  }();
  return names;
}

const std::vector<std::string>& searched_schedule_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const ScheduleTraits& one : schedules()) {
      if (one.searched) out.emplace_back(one.name);
    }
    return out;
  }();
  return names;
}

std::string schedule_help() {
  std::string out;
  for (const ScheduleTraits& one : schedules()) {
    out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", one.name, one.help);
  }
  return out;
}

ScheduleKind parse_schedule(const std::string& text) {
  const auto& names = schedule_names();
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) {
    throw ConfigError("[schedule] '", text, "' is not one of ",
                      fmt::format("{}", fmt::join(names, ", ")), did_you_mean(text, names));
  }
  return static_cast<ScheduleKind>(it - names.begin());
}

ScheduleKind schedule_with(ClosedForm form) {
  const auto all = schedules();
  const auto it = std::find_if(all.begin(), all.end(), [&](const ScheduleTraits& one) {
    return one.searched && one.closed_form == form;
  });
  GALV_CHECK(it != all.end(), "no schedule has closed form ", static_cast<int>(form));
  return it->kind;
}

std::vector<Step> make_schedule(ScheduleKind kind, int pp_rank, int pp_degree, int num_microbatches,
                                int stages_per_rank) {
  GALV_CHECK(pp_rank >= 0 && pp_rank < pp_degree, "pipeline rank ", pp_rank, " of ", pp_degree);
  GALV_CHECK(num_microbatches > 0, num_microbatches, " microbatches");
  GALV_CHECK(stages_per_rank > 0, stages_per_rank, " stages per rank");
  const ScheduleTraits& of = traits(kind);
  GALV_CHECK(stages_per_rank == 1 || of.several_stages(), stages_per_rank,
             " stages per rank under ", of.name);
  return of.make(pp_rank, {pp_degree, num_microbatches, stages_per_rank});
}

std::vector<std::vector<Step>> make_schedules(ScheduleKind kind, const ScheduleShape& shape) {
  std::vector<std::vector<Step>> lists;
  for (int rank = 0; rank < shape.pp_degree; ++rank) {
    lists.push_back(
        make_schedule(kind, rank, shape.pp_degree, shape.num_microbatches, shape.stages_per_rank));
  }
  return lists;
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

std::string to_text(const Step& step) {
  std::string out = short_name(step.action);
  if (step.microbatch >= 0) out += std::to_string(step.microbatch);
  if (step.chunk > 0) out += '.' + std::to_string(step.chunk);
  const int part = step.unit >= 0 ? step.unit : step.layer;
  if (part >= 0) out += ':' + std::to_string(part);
  return out;
}

std::string to_text(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) {
    if (!out.empty()) out += ' ';
    out += to_text(step);
  }
  return out;
}

}  // namespace galvatron::plan
