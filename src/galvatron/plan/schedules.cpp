#include "galvatron/plan/schedules.h"

#include <algorithm>
#include <array>

#include "galvatron/base/partition.h"

namespace galvatron::plan {
namespace {

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

std::vector<Step> schedule_gpipe(int num_microbatches) {
  std::vector<Step> steps;
  steps.reserve(2 * static_cast<std::size_t>(num_microbatches));
  for (int m = 0; m < num_microbatches; ++m) steps.push_back({Action::kForward, m});
  for (int m = num_microbatches - 1; m >= 0; --m) steps.push_back({Action::kBackward, m});
  return steps;
}

std::vector<Step> schedule_1f1b(int stage, int num_stages, int num_microbatches) {
  const int num_warmup = std::min(num_stages - stage - 1, num_microbatches);
  std::vector<Step> steps;
  steps.reserve(2 * static_cast<std::size_t>(num_microbatches));
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
  steps.reserve(2 * static_cast<std::size_t>(num_microbatches));
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

std::vector<Step> schedule_zb_h1(int stage, int num_stages, int num_microbatches) {
  const int num_warmup = std::min(num_stages - stage - 1, num_microbatches);
  const int kept_back = std::min(stage, num_microbatches);
  std::vector<Step> steps;
  steps.reserve(3 * static_cast<std::size_t>(num_microbatches));
  const auto backward = [&](int m) {
    steps.push_back({Action::kBackward, m});
    if (m >= kept_back) steps.push_back({Action::kWeightGradient, m - kept_back});
  };
  for (int m = 0; m < num_warmup; ++m) steps.push_back({Action::kForward, m});
  for (int m = num_warmup; m < num_microbatches; ++m) {
    steps.push_back({Action::kForward, m});
    backward(m - num_warmup);
  }
  for (int m = num_microbatches - num_warmup; m < num_microbatches; ++m) backward(m);
  for (int m = num_microbatches - kept_back; m < num_microbatches; ++m) {
    steps.push_back({Action::kWeightGradient, m});
  }
  return steps;
}

std::span<const ScheduleTraits> schedules() {
  static const std::array table = {
      ScheduleTraits{
          .kind = ScheduleKind::kGPipe,
          .name = "gpipe",
          .help = "all forwards, then all backwards",
          .make = [](int,
                     const ScheduleShape& shape) { return schedule_gpipe(shape.num_microbatches); },
          .steady = false,
          .closed_form = ClosedForm::kSlowestPhases},
      ScheduleTraits{.kind = ScheduleKind::k1F1B,
                     .name = "1f1b",
                     .help = "every backward as soon as it can run",
                     .make =
                         [](int pp_rank, const ScheduleShape& shape) {
                           return schedule_1f1b(pp_rank, shape.pp_degree, shape.num_microbatches);
                         },
                     .closed_form = ClosedForm::kSlowestStage},
      ScheduleTraits{.kind = ScheduleKind::kInterleaved,
                     .name = "interleaved",
                     .help = "several stages on each pipeline rank, for a smaller bubble",
                     .make =
                         [](int pp_rank, const ScheduleShape& shape) {
                           return schedule_interleaved_1f1b(pp_rank, shape.pp_degree,
                                                            shape.stages_per_rank,
                                                            shape.num_microbatches);
                         },
                     .usual_stages_per_rank = 2,
                     .closed_form = ClosedForm::kSlowestOfEachChunk},
      ScheduleTraits{.kind = ScheduleKind::kZeroBubbleH1,
                     .name = "zb-h1",
                     .help = "1f1b with weight gradients apart, in the bubble of its end; so far "
                             "they run with their backward",
                     .make =
                         [](int pp_rank, const ScheduleShape& shape) {
                           return schedule_zb_h1(pp_rank, shape.pp_degree, shape.num_microbatches);
                         },
                     .searched = false,
                     .priced_as_if = "weight gradients ran apart from those of inputs, in the "
                                     "bubble; so far the executor runs both at once"}};
  return table;
}

}  // namespace galvatron::plan
