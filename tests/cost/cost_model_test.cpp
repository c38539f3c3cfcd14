#include "galvatron/cost/cost_model.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "galvatron/plan/schedules.h"

#include "cost/example_costs.h"

namespace galvatron::cost {
namespace {

TEST(OverlappedMs, IsFreeAtOneAndNothingAtTwo) {
  const auto together = [](double compute, double communication, double c, double x) {
    return profiles::Overlap{c, x}.together_ms(compute, communication);
  };
  EXPECT_DOUBLE_EQ(together(10, 4, 1, 1), 10);
  EXPECT_DOUBLE_EQ(together(4, 10, 1, 1), 10);
  EXPECT_DOUBLE_EQ(together(10, 4, 1.5, 1.5), 12);  // 4 ms of each take 6, then 6 alone
  EXPECT_DOUBLE_EQ(together(10, 4, 2, 2), 14);
  EXPECT_DOUBLE_EQ(together(10, 4, 3, 3), 18);  // worse than one after the other
  EXPECT_DOUBLE_EQ(together(10, 0, 1.5, 1.5), 10);
  EXPECT_DOUBLE_EQ(together(10, 4, 1.25, 2), 11.6);  // 8 ms of which 6.4 are computed, 3.6 alone
  EXPECT_DOUBLE_EQ(together(4, 10, 1.25, 2), 12.5);  // 5 ms of which 2.5 are sent, 7.5 alone
  EXPECT_DOUBLE_EQ(together(8, 5, 1.25, 2), 10);     // both at once
}

TEST(MicrobatchesInFlight, FallAlongThePipelineUnder1F1B) {
  const PipelineShape shape{4, 1, 8, plan::ScheduleKind::k1F1B};
  EXPECT_EQ(microbatches_in_flight(shape, 0), 4);
  EXPECT_EQ(microbatches_in_flight(shape, 3), 1);
  EXPECT_EQ(microbatches_in_flight({4, 1, 2, plan::ScheduleKind::k1F1B}, 0), 2);
  EXPECT_EQ(microbatches_in_flight({4, 1, 8, plan::ScheduleKind::kGPipe}, 3), 8);
}

TEST(MicrobatchesInFlight, AreWhatTheSchedulesHold) {
  for (const auto kind :
       {plan::ScheduleKind::kGPipe, plan::ScheduleKind::k1F1B, plan::ScheduleKind::kZeroBubbleH1}) {
    for (int p = 1; p <= 5; ++p) {
      for (int m = 1; m <= 7; ++m) {
        for (int stage = 0; stage < p; ++stage) {
          EXPECT_EQ(microbatches_in_flight({p, 1, m, kind}, stage),
                    plan::max_in_flight(plan::make_schedule(kind, stage, p, m)))
              << plan::to_text(kind) << " p " << p << " m " << m << " stage " << stage;
        }
      }
    }
  }
}

std::vector<FlightMoment> moments(int p, int m, int v, int rank) {
  return flight_moments({p, 1, m, plan::ScheduleKind::kInterleaved, v}, rank);
}

TEST(FlightMoments, OfTwoRanksWithTwoStages) {
  // F0 F1 F0.1 F1.1 F2 B0.1 F3 B1.1 F2.1 ...
  EXPECT_EQ(moments(2, 4, 2, 0),
            (std::vector<FlightMoment>{{{3, 2}, 0}, {{3, 2}, 1}, {{4, 1}, 0}, {{4, 1}, 1}}));
}

// The moments are those of the whole list, however long: nothing in it holds more.
TEST(FlightMoments, CoverEveryStepOfTheSchedule) {
  for (int p = 2; p <= 5; ++p) {
    for (int v = 2; v <= 3; ++v) {
      for (const int m : {1, 2, p, p + 1, 3 * p, 5 * p, 8 * p, 8 * p + 3}) {
        for (int rank = 0; rank < p; ++rank) {
          const auto found = moments(p, m, v, rank);
          std::vector<bool> met(found.size(), false);
          std::vector<int> now(static_cast<std::size_t>(v), 0);
          for (const plan::Step& step : plan::schedule_interleaved_1f1b(rank, p, v, m)) {
            int& chunk = now[static_cast<std::size_t>(step.chunk)];
            const bool forward = step.action == plan::Action::kForward;
            if (forward) ++chunk;
            bool covered = false;
            for (std::size_t i = 0; i < found.size(); ++i) {
              if (found[i].running != step.chunk) continue;
              bool as_many = true;
              for (std::size_t c = 0; c < now.size(); ++c) {
                as_many = as_many && found[i].in_flight[c] >= now[c];
              }
              covered = covered || as_many;
              if (found[i].in_flight == now) met[i] = true;
            }
            EXPECT_TRUE(covered) << "p " << p << " v " << v << " m " << m << " rank " << rank;
            if (!forward) --chunk;
          }
          EXPECT_EQ(std::count(met.begin(), met.end(), false), 0) << "p " << p << " m " << m;
        }
      }
    }
  }
}

TEST(FlightMoments, OneStagePerRankHasOneMoment) {
  EXPECT_EQ(flight_moments({4, 1, 8, plan::ScheduleKind::k1F1B}, 1),
            (std::vector<FlightMoment>{{{3}, 0}}));
}

TEST(MicrobatchSizes, CountTheChunksOfTheBatch) {
  for (int batch = 1; batch <= 20; ++batch) {
    for (int m = 1; m <= batch; ++m) {
      const MicrobatchSizes sizes = microbatch_sizes(batch, m);
      int large = 0, small = 0;
      for (int i = 0; i < m; ++i) {
        const auto size = chunk(batch, m, i).size();
        (size == sizes.large ? large : small) += 1;
        EXPECT_TRUE(size == sizes.large || size == sizes.small);
      }
      EXPECT_EQ(large, sizes.num_large) << batch << " in " << m;
      EXPECT_EQ(small, sizes.num_small) << batch << " in " << m;
    }
  }
  EXPECT_DOUBLE_EQ(microbatch_sizes(9, 4).mean(30, 20), 22.5);  // 2 2 2 3
}

TEST(ComputingRanks, LeaveOutThoseInTheBubble) {
  const Example example;
  EXPECT_DOUBLE_EQ(computing_ranks({1, 8, 3}, example.hardware), 8);
  EXPECT_DOUBLE_EQ(computing_ranks({4, 2, 5}, example.hardware), 8 * 5.0 / 8);
  EXPECT_DOUBLE_EQ(computing_ranks({1, 64, 3}, example.hardware), 8);  // of one node
}

TEST(LocalWork, IsTheFullestRanksShare) {
  const Example example;
  const PipelineShape shape{1, 8, 1};
  plan::LayerStrategy strategy{.tp_degree = 2, .ulysses_degree = 2};
  const LocalWork work = local_work(example.inputs(), shape, 1, strategy, 5);
  EXPECT_EQ(work.samples, 3);  // 5 over 2
  EXPECT_EQ(work.block_tokens, 32);
  EXPECT_DOUBLE_EQ(work.profile_samples, 1.5);
}

}  // namespace
}  // namespace galvatron::cost
