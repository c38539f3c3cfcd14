#include <algorithm>
#include <deque>
#include <map>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/plan/schedule_passes.h"
#include "galvatron/plan/schedules.h"

#include "config_error.h"

namespace galvatron::plan {
namespace {

std::string with_transfers(ScheduleKind kind, int pp_rank, int pp_degree, int num_microbatches,
                           int stages_per_rank = 1) {
  return to_text(
      add_transfers(make_schedule(kind, pp_rank, pp_degree, num_microbatches, stages_per_rank),
                    pp_rank, pp_degree, stages_per_rank));
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

TEST(ScheduleInterleaved, TwoRanksWithTwoStagesEach) {
  EXPECT_EQ(to_text(schedule_interleaved_1f1b(0, 2, 2, 4)),
            "F0 F1 F0.1 F1.1 F2 B0.1 F3 B1.1 F2.1 B0 F3.1 B1 B2.1 B3.1 B2 B3");
  EXPECT_EQ(to_text(schedule_interleaved_1f1b(1, 2, 2, 4)),
            "F0 F1 F0.1 B0.1 F1.1 B1.1 F2 B0 F3 B1 F2.1 B2.1 F3.1 B3.1 B2 B3");
}

// Three microbatches of two ranks are one group; one microbatch runs as in a full group of two.
TEST(ScheduleInterleaved, AnyNumberOfMicrobatches) {
  EXPECT_EQ(to_text(schedule_interleaved_1f1b(1, 2, 2, 3)),
            "F0 F1 F2 F0.1 B0.1 F1.1 B1.1 F2.1 B2.1 B0 B1 B2");
  EXPECT_EQ(to_text(schedule_interleaved_1f1b(0, 2, 2, 1)), "F0 F0.1 B0.1 B0");
}

TEST(ScheduleInterleaved, OneStagePerRankIs1F1BWithALongerWarmup) {
  EXPECT_EQ(to_text(schedule_interleaved_1f1b(0, 2, 1, 4)), "F0 F1 F2 B0 F3 B1 B2 B3");
  EXPECT_EQ(to_text(schedule_interleaved_1f1b(1, 2, 1, 4)), to_text(schedule_1f1b(1, 2, 4)));
}

TEST(ScheduleZbH1, KeepsWeightGradientsForTheEnd) {
  EXPECT_EQ(to_text(schedule_zb_h1(0, 4, 5)), "F0 F1 F2 F3 B0 W0 F4 B1 W1 B2 W2 B3 W3 B4 W4");
  EXPECT_EQ(to_text(schedule_zb_h1(1, 4, 5)), "F0 F1 F2 B0 F3 B1 W0 F4 B2 W1 B3 W2 B4 W3 W4");
  EXPECT_EQ(to_text(schedule_zb_h1(3, 4, 5)), "F0 B0 F1 B1 F2 B2 F3 B3 W0 F4 B4 W1 W2 W3 W4");
  EXPECT_EQ(to_text(schedule_zb_h1(3, 4, 2)), "F0 B0 F1 B1 W0 W1");
}

// What weight gradients need stays until they run: never of more microbatches than 1F1B's first
// stage holds.
TEST(ScheduleZbH1, KeepsNoMoreThanTheFirstStageOf1F1B) {
  for (int stages = 1; stages <= 6; ++stages) {
    for (int stage = 0; stage < stages; ++stage) {
      int kept = 0;
      for (const Step& step : schedule_zb_h1(stage, stages, 20)) {
        if (step.action == Action::kForward) ++kept;
        EXPECT_LE(kept, stages) << "stage " << stage;
        if (step.action == Action::kWeightGradient) --kept;
      }
      EXPECT_EQ(max_in_flight(schedule_zb_h1(stage, stages, 20)), stages - stage);
    }
  }
}

TEST(AddTransfers, WrapAroundBetweenChunks) {
  const auto kind = ScheduleKind::kInterleaved;
  EXPECT_EQ(with_transfers(kind, 0, 2, 1, 2), "F0 sA0 rA0.1 F0.1 sA0.1 rG0.1 B0.1 sG0.1 rG0 B0");
  EXPECT_EQ(with_transfers(kind, 1, 2, 1, 2), "rA0 F0 sA0 rA0.1 F0.1 B0.1 sG0.1 rG0 B0 sG0");
}

TEST(AddTransfers, LeaveWeightGradientsAlone) {
  EXPECT_EQ(with_transfers(ScheduleKind::kZeroBubbleH1, 1, 2, 2),
            "rA0 F0 B0 sG0 rA1 F1 B1 sG1 W0 W1");
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

struct Lists {
  ScheduleKind kind = ScheduleKind::k1F1B;
  int pp_degree = 1;
  int num_microbatches = 1;
  int stages_per_rank = 1;
};

// Runs the ranks' lists side by side; a receive waits for its message. Messages of one kind from
// one rank to another must be wanted in the order in which they are sent, as NCCL has no tags.
// Returns the number of steps done, which falls short of all steps when the lists deadlock.
int run_together(const Lists& of) {
  std::vector<std::vector<Step>> lists;
  std::vector<std::size_t> at(static_cast<std::size_t>(of.pp_degree), 0);
  for (int rank = 0; rank < of.pp_degree; ++rank) {
    lists.push_back(add_transfers(
        make_schedule(of.kind, rank, of.pp_degree, of.num_microbatches, of.stages_per_rank), rank,
        of.pp_degree, of.stages_per_rank));
  }
  using Message = std::pair<int, int>;                            // (stage, microbatch)
  std::map<std::pair<int, Action>, std::deque<Message>> mailbox;  // (receiver, its action)
  const auto post = [&](int stage, Action action, int microbatch) {
    mailbox[{stage % of.pp_degree, action}].push_back({stage, microbatch});
  };
  int done = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int rank = 0; rank < of.pp_degree; ++rank) {
      auto& position = at[static_cast<std::size_t>(rank)];
      const auto& list = lists[static_cast<std::size_t>(rank)];
      if (position == list.size()) continue;
      const Step step = list[position];
      const int stage = step.chunk * of.pp_degree + rank;
      if (step.action == Action::kSendActivation) {
        post(stage + 1, Action::kRecvActivation, step.microbatch);
      } else if (step.action == Action::kSendGradient) {
        post(stage - 1, Action::kRecvGradient, step.microbatch);
      } else if (step.action != Action::kForward && step.action != Action::kBackward) {
        auto& queue = mailbox[{rank, step.action}];
        if (queue.empty()) continue;
        EXPECT_EQ(queue.front(), (Message{stage, step.microbatch}))
            << "messages arrive in another order";
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
        EXPECT_EQ(run_together({kind, stages, microbatches}), steps)
            << to_text(kind) << ", " << stages << " stages, " << microbatches << " microbatches";
      }
    }
  }
}

TEST(Schedules, NeverDeadlockInterleaved) {
  for (int ranks = 1; ranks <= 7; ++ranks) {
    for (int per_rank = 1; per_rank <= 4; ++per_rank) {
      for (int microbatches = 1; microbatches <= 25; ++microbatches) {
        const int stages = ranks * per_rank;
        const int steps = microbatches * (2 * stages + 4 * (stages - 1));
        EXPECT_EQ(run_together({ScheduleKind::kInterleaved, ranks, microbatches, per_rank}), steps)
            << ranks << " ranks, " << per_rank << " stages each, " << microbatches
            << " microbatches";
      }
    }
  }
}

void expect_each_once(const std::vector<Step>& steps, int num_microbatches, int stages_per_rank) {
  std::map<std::pair<int, int>, int> state;
  for (const Step& step : steps) {
    int& done = state[{step.chunk, step.microbatch}];
    EXPECT_EQ(done, step.action == Action::kForward ? 0 : 1) << to_text(steps);
    ++done;
  }
  EXPECT_EQ(static_cast<int>(state.size()), num_microbatches * stages_per_rank);
  for (const auto& [key, done] : state) EXPECT_EQ(done, 2);
}

TEST(Schedules, RunEveryMicrobatchOnceForwardThenBackward) {
  for (int rank = 0; rank < 5; ++rank) {
    expect_each_once(make_schedule(ScheduleKind::k1F1B, rank, 5, 7), 7, 1);
    for (const int microbatches : {1, 4, 5, 7, 13}) {
      expect_each_once(make_schedule(ScheduleKind::kInterleaved, rank, 5, microbatches, 3),
                       microbatches, 3);
    }
  }
}

TEST(ScheduleNames, GoBothWays) {
  for (const std::string& name : schedule_names()) EXPECT_EQ(to_text(parse_schedule(name)), name);
  EXPECT_EQ(config_error_of([] { parse_schedule("1f1"); }),
            "[schedule] '1f1' is not one of gpipe, 1f1b, interleaved, zb-h1, did you mean '1f1b'?");
}

TEST(MakeSchedule, RefusesAStageThatDoesNotExist) {
  EXPECT_THROW(make_schedule(ScheduleKind::k1F1B, 2, 2, 1), InternalError);
  EXPECT_THROW(make_schedule(ScheduleKind::kGPipe, 0, 1, 0), InternalError);
  EXPECT_THROW(make_schedule(ScheduleKind::k1F1B, 0, 2, 1, /*stages_per_rank=*/2), InternalError);
}

}  // namespace
}  // namespace galvatron::plan
