// The closed formulas against the simulator.
#include "galvatron/cost/pipeline_time.h"

#include <algorithm>
#include <array>
#include <random>

#include <gtest/gtest.h>

#include "galvatron/cost/timeline.h"

namespace galvatron::cost {
namespace {

StageTimes stage(double forward, double backward, double transfer = 0) {
  StageTimes out;
  out.forward = {{forward}};
  out.backward = {{backward}};
  out.transfer = {transfer};
  return out;
}

double between(std::mt19937_64& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

double formula(plan::ScheduleKind kind, int m, const std::vector<StageTimes>& stages,
               int stages_per_rank = 1) {
  std::vector<StageNumbers> numbers;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const double before = s > 0 ? stages[s - 1].transfer.value : 0;
    const double after = s + 1 < stages.size() ? stages[s].transfer.value : 0;
    numbers.push_back({stages[s].forward[0].value + before, stages[s].backward[0].value + after,
                       (stages[s].gradient_sync + stages[s].update).value, before, after});
  }
  const int p = static_cast<int>(stages.size()) / stages_per_rank;
  return pipeline_time_ms({p, 1, m, kind, stages_per_rank}, numbers);
}

// Stages whose backward takes `low` to `high` times their forward.
std::vector<StageTimes> random_stages(std::mt19937_64& random, bool transfers, bool once,
                                      double low = 0.1, double high = 10) {
  std::uniform_real_distribution<double> time(0.1, 5), share(0, 1), ratio(low, high);
  std::vector<StageTimes> out;
  const auto p = std::uniform_int_distribution<int>(1, 6)(random);
  for (int s = 0; s < p; ++s) {
    const double forward = time(random);
    out.push_back(
        stage(forward, forward * ratio(random), transfers ? time(random) * share(random) : 0));
    if (once) out.back().gradient_sync = {time(random)};
    if (once) out.back().update = {time(random)};
  }
  return out;
}

// Largest simulated time over the formula's, and the largest formula over the simulated.
struct Spread {
  double above = 0, below = 0;
  void add(double simulated, double closed) {
    above = std::max(above, simulated / closed);
    below = std::max(below, closed / simulated);
  }
};
Spread compare(plan::ScheduleKind kind, double low, double high, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Spread out;
  for (int i = 0; i < 3000; ++i) {
    const auto stages = random_stages(random, i % 3 != 0, i % 2 != 0, low, high);
    const int m = std::uniform_int_distribution<int>(1, 12)(random);
    out.add(simulate(kind, m, stages).total.value, formula(kind, m, stages));
  }
  return out;
}

// Forwards and backwards are flow shops of equal jobs, in which links are machines too.
TEST(PipelineTime, IsExactForGPipe) {
  constexpr std::uint64_t kSeed = 7;
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 1000; ++i) {
    const auto stages = random_stages(random, i % 3 != 0, false);
    const int m = std::uniform_int_distribution<int>(1, 12)(random);
    EXPECT_NEAR(formula(plan::ScheduleKind::kGPipe, m, stages),
                simulate(plan::ScheduleKind::kGPipe, m, stages).total.value, 1e-9)
        << "seed " << kSeed << ", case " << i;
  }
}

// Ranks that end sooner pay sooner what is paid once.
TEST(PipelineTime, IsNeverBelowTheSimulationOfGPipe) {
  const Spread spread = compare(plan::ScheduleKind::kGPipe, 0.1, 10, 1);
  EXPECT_LE(spread.above, 1 + 1e-12);
  EXPECT_GT(spread.below, 1);
}

TEST(PipelineTime, IsExactFor1F1BOfEqualStages) {
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 16; ++m) {
      for (const double transfer : {0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.5}) {
        const std::vector<StageTimes> stages(static_cast<std::size_t>(p), stage(1, 2.5, transfer));
        const double simulated = simulate(plan::ScheduleKind::k1F1B, m, stages).total.value;
        EXPECT_NEAR(formula(plan::ScheduleKind::k1F1B, m, stages), simulated, 1e-9)
            << p << " stages, " << m << " microbatches, " << transfer;
        if (transfer == 0) {
          EXPECT_NEAR(simulated, (m + p - 1) * 3.5, 1e-9);
        }
      }
    }
  }
}

// A step of two microbatches waits for no border twice; a long one for all but every p-th.
TEST(PipelineTime, SaysHowOftenBordersAreWaitedFor) {
  const auto waits = [](plan::ScheduleKind kind, int p, int m, double slowest) {
    std::vector<StageNumbers> stages(static_cast<std::size_t>(p), {1.5, 2.5, 0, 0.5, 0.5});
    stages.front() = {1, 2.5, 0, 0, 0.5};
    stages.back() = {1.5, 2 * slowest, 0, 0.5, 0};
    return pipeline_time({p, 1, m, kind}, stages).border_waits;
  };
  using enum plan::ScheduleKind;
  EXPECT_DOUBLE_EQ(waits(k1F1B, 4, 1, 1), 1);
  EXPECT_DOUBLE_EQ(waits(k1F1B, 4, 2, 1), 1);
  EXPECT_DOUBLE_EQ(waits(k1F1B, 4, 5, 1), 2);
  EXPECT_DOUBLE_EQ(waits(k1F1B, 4, 41, 1), 11);
  EXPECT_DOUBLE_EQ(waits(k1F1B, 4, 41, 10), 1);  // behind a stage that is slower than all else
  EXPECT_DOUBLE_EQ(waits(kGPipe, 4, 41, 1), 1);
}

// Pipelines of 2 to 8 stages, 1 to 16 microbatches, borders of 0 to 1 forward of 1 ms; `make` makes
// a stage's forward, its backward takes twice as long.
template <typename Make>
Spread compare_1f1b(std::uint64_t seed, Make make) {
  std::mt19937_64 random(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  Spread out;
  for (int i = 0; i < 3000; ++i) {
    const int p = pick(2, 8), m = pick(1, 16);
    const double transfer =
        std::array{0.0, 0.05, 0.1, 0.25, 0.5, 1.0}.at(static_cast<std::size_t>(pick(0, 5)));
    std::vector<StageTimes> stages;
    for (int s = 0; s < p; ++s) {
      const double forward = make(random, s, p);
      stages.push_back(stage(forward, 2 * forward, transfer));
    }
    out.add(simulate(plan::ScheduleKind::k1F1B, m, stages).total.value,
            formula(plan::ScheduleKind::k1F1B, m, stages));
  }
  return out;
}

TEST(PipelineTime, IsNearFor1F1BOfNearlyEqualStages) {
  const Spread spread =
      compare_1f1b(11, [](auto& random, int, int) { return between(random, 1, 1.1); });
  EXPECT_LE(spread.above, 1.02);
  EXPECT_LE(spread.below, 1.04);
}

TEST(PipelineTime, IsNearFor1F1BOfStagesWithUnlikeEnds) {
  const Spread spread = compare_1f1b(12, [](auto& random, int s, int p) {
    return s == 0 ? between(random, 0.7, 1) : s + 1 == p ? between(random, 1, 1.5) : 1;
  });
  EXPECT_LE(spread.above, 1.06);
  EXPECT_LE(spread.below, 1.001);
}

TEST(PipelineTime, IsAQuarterOffAtMostForWildStagesOf1F1B) {
  const Spread spread =
      compare_1f1b(13, [](auto& random, int, int) { return between(random, 0.3, 3); });
  EXPECT_LE(spread.above, 1.12);
  EXPECT_LE(spread.below, 1.3);
}

// Stages of any backward over forward, any borders.
TEST(PipelineTime, IsNotFarBelowTheSimulationOf1F1BWithAnyRatios) {
  EXPECT_LE(compare(plan::ScheduleKind::k1F1B, 1, 20, 3).above, 1.06);
  EXPECT_LE(compare(plan::ScheduleKind::k1F1B, 0.1, 10, 4).above, 1.25);
}

// --- without a closed form ---

// Qi et al. 2023, table 2: the bubble is (p - 1) (forward + input gradient - weight gradient).
TEST(PipelineTime, OfZbH1IsTheSimulation) {
  constexpr auto kind = plan::ScheduleKind::kZeroBubbleH1;
  for (int p = 1; p <= 8; ++p) {
    for (int m = p; m <= 20; ++m) {
      const std::vector<StageTimes> stages(static_cast<std::size_t>(p), stage(1, 2));
      EXPECT_NEAR(simulate(kind, m, stages).total.value, 3 * m + p - 1, 1e-9) << p << " " << m;
      EXPECT_NEAR(formula(kind, m, stages), 3 * m + p - 1, 1e-9);
    }
  }
  constexpr std::uint64_t kSeed = 13;
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 200; ++i) {
    const auto stages = random_stages(random, false, false);
    const int m = std::uniform_int_distribution<int>(1, 12)(random);
    EXPECT_DOUBLE_EQ(formula(kind, m, stages), simulate(kind, m, stages).total.value);
  }
}

// --- interleaved ---

constexpr auto kInterleaved = plan::ScheduleKind::kInterleaved;

TEST(PipelineTime, IsExactForEqualInterleavedStages) {
  for (int p = 2; p <= 6; ++p) {
    for (int v = 2; v <= 4; ++v) {
      for (int m = 1; m <= 3 * p + 1; ++m) {
        const std::vector<StageTimes> stages(static_cast<std::size_t>(p * v), stage(1, 2.5));
        const double expected = (std::max(m, p) * v + std::min(m, p) - 1) * 3.5;
        EXPECT_NEAR(formula(kInterleaved, m, stages, v), expected, 1e-9);
        EXPECT_NEAR(simulate(kInterleaved, m, stages, v).total.value, expected, 1e-9)
            << p << " ranks, " << v << " stages each, " << m << " microbatches";
      }
    }
  }
}

// A rank runs another chunk while a border is on its way: each is waited for once, however many
// microbatches there are.
TEST(PipelineTime, IsExactForEqualInterleavedStagesWithTransfers) {
  for (int p = 2; p <= 6; ++p) {
    for (int v = 2; v <= 4; ++v) {
      for (int m = 1; m <= 3 * p + 1; ++m) {
        for (const double transfer : {0.05, 0.4, 1.0}) {
          const std::vector<StageTimes> stages(static_cast<std::size_t>(p * v),
                                               stage(1, 2.5, transfer));
          const double simulated = simulate(kInterleaved, m, stages, v).total.value;
          const double closed = formula(kInterleaved, m, stages, v);
          const bool exact = m < p || m % p == 0;
          EXPECT_GE(closed, simulated - 1e-9);
          EXPECT_LE(closed, exact ? simulated + 1e-9 : simulated * (1 + 0.35 * transfer))
              << p << " ranks, " << v << " stages each, " << m << " microbatches, " << transfer;
        }
      }
    }
  }
}

// Largest formula over simulated time, and the other way round; `make` fills a pipeline's stages.
template <typename Make>
Spread compare_interleaved(std::uint64_t seed, Make make) {
  std::mt19937_64 random(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  Spread out;
  for (int i = 0; i < 3000; ++i) {
    const int p = pick(2, 6), v = pick(2, 4), m = pick(1, 24);
    std::vector<StageTimes> stages(static_cast<std::size_t>(p * v), stage(1, 2));
    make(random, stages);
    out.add(simulate(kInterleaved, m, stages, v).total.value, formula(kInterleaved, m, stages, v));
  }
  return out;
}

TEST(PipelineTime, IsNearForNearlyEqualInterleavedStages) {
  const Spread spread = compare_interleaved(1, [](auto& random, std::vector<StageTimes>& stages) {
    for (StageTimes& one : stages)
      one = stage(between(random, 1, 1.1), 2 * between(random, 1, 1.1));
  });
  EXPECT_LE(spread.above, 1.01);
  EXPECT_LE(spread.below, 1.08);
}

// Equal blocks between a lighter or heavier embedding and head.
TEST(PipelineTime, IsNotBelowForInterleavedStagesWithUnlikeEnds) {
  const Spread spread = compare_interleaved(2, [](auto& random, std::vector<StageTimes>& stages) {
    stages.front() = stage(between(random, 0.5, 1), between(random, 1, 2));
    stages.back() = stage(1, between(random, 1, 12));
  });
  EXPECT_LE(spread.above, 1.005);
  EXPECT_LE(spread.below, 1.3);
}

TEST(PipelineTime, IsAThirdOffAtMostForWildInterleavedStages) {
  const Spread spread = compare_interleaved(3, [](auto& random, std::vector<StageTimes>& stages) {
    for (StageTimes& one : stages) {
      const double forward = between(random, 0.1, 5);
      one = stage(forward, forward * between(random, 1, 5));
    }
  });
  EXPECT_LE(spread.above, 1.5);
  EXPECT_LE(spread.below, 1.7);
}

}  // namespace
}  // namespace galvatron::cost
