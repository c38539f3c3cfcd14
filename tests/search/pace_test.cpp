#include "galvatron/search/pace.h"

#include <gtest/gtest.h>

#include "search/search_testing.h"

namespace galvatron::search {
namespace {

// Takes seconds to prove.
struct LongQuestion {
  PlanningExample example{"llama2-7b", 64, 256, 2048};
  SearchOptions options = with_memory(gibibytes(12));
};

TEST(Pace, WithoutALimitNothingEndsIt) {
  Pace pace(std::nullopt, nullptr, [] { return SearchProgress{}; });
  EXPECT_FALSE(pace.over());
  EXPECT_FALSE(pace.half_over());
  EXPECT_EQ(pace.interrupted(), nullptr);
  EXPECT_EQ(pace.ended_by(), "");
}

TEST(Pace, OnceOverItStaysOver) {
  Pace pace(0, nullptr, [] { return SearchProgress{}; });
  EXPECT_TRUE(pace.over());
  EXPECT_TRUE((*pace.interrupted())());
  EXPECT_EQ(pace.ended_by(), "--time-limit after 0 s");
}

TEST(Pace, ProgressSaysBestAndBound) {
  EXPECT_EQ(to_text(SearchProgress{}), "no plan yet");
  EXPECT_EQ(to_text({.bound = 2}), "no plan yet, none below 2.00 ms per sample");
  EXPECT_EQ(to_text({.best = 4, .bound = 2}), "best 4.00 ms per sample, none below 2.00 ms");
}

TEST(TimeLimit, NoTimeAtAllIsNoPlanAndStillABound) {
  LongQuestion question;
  question.options.time_limit = 0;
  const SearchResult result = question.example.search(question.options);
  EXPECT_FALSE(result.best);
  EXPECT_FALSE(result.closest_miss);
  EXPECT_GT(result.certificate.lower_bound, 0);
  EXPECT_EQ(result.certificate.ended_by, "--time-limit after 0 s");
}

// Whatever the machine does: the plan is valid, and the bound is one of the whole question.
TEST(TimeLimit, GivesTheBestSoFarAndItsGap) {
  LongQuestion question;
  const double best = ms_per_sample(question.example.search(question.options));
  for (const double seconds : {0.001, 0.01, 0.05, 0.2}) {
    question.options.time_limit = seconds;
    const SearchResult result = question.example.search(question.options);
    EXPECT_LE(result.certificate.lower_bound, best * (1 + 1e-9)) << seconds;
    EXPECT_GE(ms_per_sample(result), best * (1 - 2e-4)) << seconds;
    if (result.certificate.ended_by.empty()) {
      EXPECT_NEAR(ms_per_sample(result), best, 1e-9 * best);
    }
  }
}

TEST(TimeLimit, WhoWatchesCanEndIt) {
  LongQuestion question;
  int asked = 0;
  question.options.progress = [&](const SearchProgress& progress) {
    EXPECT_GT(progress.candidates, 0);
    EXPECT_LE(progress.decided, progress.candidates);
    EXPECT_LE(progress.bound, progress.best);
    EXPECT_GT(progress.seconds, 0);
    return ++asked < 2;
  };
  const SearchResult result = question.example.search(question.options);
  EXPECT_LE(asked, 2);
  EXPECT_EQ(result.certificate.ended_by.empty(), asked < 2);
}

}  // namespace
}  // namespace galvatron::search
