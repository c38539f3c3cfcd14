#include "galvatron/plan/schedule.h"

#include <algorithm>
#include <deque>
#include <map>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

#include "config_error.h"

namespace galvatron::plan {
namespace {

std::string with_transfers(ScheduleKind kind, int stage, int num_stages, int num_microbatches) {
  return to_text(
      add_transfers(make_schedule(kind, stage, num_stages, num_microbatches), stage, num_stages));
}

TEST(Schedule1F1B, FirstStageOfTwoWarmsUpOnce) {
  EXPECT_EQ(to_text(schedule_1f1b(0, 2, 4)), "F0 F1 B0 F2 B1 F3 B2 B3");
}

TEST(Schedule1F1B, EveryStageOfFour) {
  EXPECT_EQ(to_text(schedule_1f1b(0, 4, 6)), "F0 F1 F2 F3 B0 F4 B1 F5 B2 B3 B4 B5");
  EXPECT_EQ(to_text(schedule_1f1b(1, 4, 6)), "F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 B4 B5");
  EXPECT_EQ(to_text(schedule_1f1b(2, 4, 6)), "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 B5");
  EXPECT_EQ(to_text(schedule_1f1b(3, 4, 6)), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5");
}

TEST(Schedule1F1B, FewerMicrobatchesThanStages) {
  EXPECT_EQ(to_text(schedule_1f1b(0, 4, 2)), "F0 F1 B0 B1");
  EXPECT_EQ(to_text(schedule_1f1b(3, 4, 2)), "F0 B0 F1 B1");
}

TEST(ScheduleGPipe, RunsBackwardInReverse) {
  EXPECT_EQ(to_text(schedule_gpipe(3)), "F0 F1 F2 B2 B1 B0");
}

TEST(AddTransfers, FirstMiddleAndLastStage) {
  EXPECT_EQ(with_transfers(ScheduleKind::k1F1B, 0, 3, 2), "F0 sA0 F1 sA1 rG0 B0 rG1 B1");
  EXPECT_EQ(with_transfers(ScheduleKind::k1F1B, 1, 3, 2),
            "rA0 F0 sA0 rA1 F1 sA1 rG0 B0 sG0 rG1 B1 sG1");
  EXPECT_EQ(with_transfers(ScheduleKind::k1F1B, 2, 3, 2), "rA0 F0 B0 sG0 rA1 F1 B1 sG1");
}

TEST(AddTransfers, OneStageHasNone) {
  EXPECT_EQ(with_transfers(ScheduleKind::k1F1B, 0, 1, 2), "F0 B0 F1 B1");
}

TEST(MaxInFlight, IsTheStagesDistanceFromTheEndUnder1F1B) {
  for (int stage = 0; stage < 4; ++stage) {
    EXPECT_EQ(max_in_flight(schedule_1f1b(stage, 4, 8)), 4 - stage);
    EXPECT_EQ(max_in_flight(schedule_1f1b(stage, 4, 2)), std::min(4 - stage, 2));
    EXPECT_EQ(max_in_flight(make_schedule(ScheduleKind::kGPipe, stage, 4, 8)), 8);
  }
}

// Runs the stages' lists side by side; a receive waits for its message. Returns the number of
// steps done, which falls short of all steps when the lists deadlock.
int run_together(ScheduleKind kind, int num_stages, int num_microbatches) {
  std::vector<std::vector<Step>> lists;
  std::vector<std::size_t> at(static_cast<std::size_t>(num_stages), 0);
  for (int stage = 0; stage < num_stages; ++stage) {
    lists.push_back(
        add_transfers(make_schedule(kind, stage, num_stages, num_microbatches), stage, num_stages));
  }
  std::map<std::pair<int, Action>, std::deque<int>> mailbox;  // (receiver, its action)
  int done = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int stage = 0; stage < num_stages; ++stage) {
      auto& position = at[static_cast<std::size_t>(stage)];
      const auto& list = lists[static_cast<std::size_t>(stage)];
      if (position == list.size()) continue;
      const Step step = list[position];
      if (step.action == Action::kSendActivation) {
        mailbox[{stage + 1, Action::kRecvActivation}].push_back(step.microbatch);
      } else if (step.action == Action::kSendGradient) {
        mailbox[{stage - 1, Action::kRecvGradient}].push_back(step.microbatch);
      } else if (step.action != Action::kForward && step.action != Action::kBackward) {
        auto& queue = mailbox[{stage, step.action}];
        if (queue.empty()) continue;
        EXPECT_EQ(queue.front(), step.microbatch) << "messages arrive in another order";
        queue.pop_front();
      }
      ++position, ++done, moved = true;
    }
  }
  return done;
}

TEST(Schedules, NeverDeadlockAndDeliverInOrder) {
  for (const ScheduleKind kind : {ScheduleKind::kGPipe, ScheduleKind::k1F1B}) {
    for (int stages = 1; stages <= 6; ++stages) {
      for (int microbatches = 1; microbatches <= 9; ++microbatches) {
        const int steps = microbatches * (2 * stages + 4 * (stages - 1));
        EXPECT_EQ(run_together(kind, stages, microbatches), steps)
            << to_text(kind) << ", " << stages << " stages, " << microbatches << " microbatches";
      }
    }
  }
}

TEST(Schedules, RunEveryMicrobatchOnceForwardThenBackward) {
  for (int stage = 0; stage < 5; ++stage) {
    const auto steps = make_schedule(ScheduleKind::k1F1B, stage, 5, 7);
    std::vector<int> state(7, 0);
    for (const Step& step : steps) {
      auto& done = state[static_cast<std::size_t>(step.microbatch)];
      EXPECT_EQ(done, step.action == Action::kForward ? 0 : 1);
      ++done;
    }
    EXPECT_EQ(state, std::vector<int>(7, 2));
  }
}

TEST(ScheduleNames, GoBothWays) {
  for (const std::string& name : schedule_names()) EXPECT_EQ(to_text(parse_schedule(name)), name);
  EXPECT_EQ(config_error_of([] { parse_schedule("1f1"); }),
            "[schedule] '1f1' is not one of gpipe, 1f1b, did you mean '1f1b'?");
}

TEST(MakeSchedule, RefusesAStageThatDoesNotExist) {
  EXPECT_THROW(make_schedule(ScheduleKind::k1F1B, 2, 2, 1), InternalError);
  EXPECT_THROW(make_schedule(ScheduleKind::kGPipe, 0, 1, 0), InternalError);
}

}  // namespace
}  // namespace galvatron::plan
