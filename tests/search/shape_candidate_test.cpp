#include "galvatron/search/shape_candidate.h"

#include <gtest/gtest.h>

#include "galvatron/search/shapes.h"

#include "search/planning_example.h"

namespace galvatron::search {
namespace {

constexpr auto kNoBytes = std::numeric_limits<std::int64_t>::max();
constexpr Effort kEverything{.exact_work = kNoBytes};

SearchOptions options_of(Bytes memory) {
  SearchOptions options;
  options.memory = memory;
  return options;
}

// What the queue relies on, whatever the schedule.
TEST(ShapeCandidate, BoundsRiseAndStayBelowEveryPlan) {
  const PlanningExample example("gpt2-tiny", 4, 4, 64);
  const cost::CostInputs asked = example.inputs();
  SearchInputs inputs(asked, options_of(gibibytes(4)));
  SharedPipelines pipelines;
  SearchWork spent;
  int plain = 0, interleaved = 0;
  for (const auto& shape : make_shapes(inputs, pipelines)) {
    EXPECT_EQ(shape->outcome(), ShapeCandidate::Outcome::kPruned);
    const double first = shape->bound();
    double best = kInfinity;
    while (shape->bound() < best) {
      const double before = shape->bound();
      if (const auto answer = shape->advance(kEverything, spent)) {
        const double found = shape->ms_per_sample(*answer);
        EXPECT_GE(found, before * (1 - 1e-9));
        EXPECT_LE(shape->closed_bound(), found * (1 + 1e-9));
        best = std::min(best, found);
        EXPECT_NEAR(shape->describe(*answer, 0).ms_per_sample(), found, 1e-9 * found);
      }
      EXPECT_GE(shape->bound(), before);
    }
    EXPECT_LE(first, best);
    EXPECT_LT(best, kInfinity);
    EXPECT_EQ(shape->outcome(), ShapeCandidate::Outcome::kLookedInto);
    ++(shape->wants_cutoff() ? interleaved : plain);
  }
  EXPECT_GT(plain, 5);
  EXPECT_GT(interleaved, 2);
}

TEST(ShapeCandidate, LeanestPlansFitExactly) {
  const PlanningExample example("gpt2-tiny", 4, 4, 64);
  const cost::CostInputs asked = example.inputs();
  SearchInputs inputs(asked, options_of(Bytes{1}));
  SharedPipelines pipelines;
  for (const auto& shape : make_shapes(inputs, pipelines)) {
    const std::int64_t bytes = shape->least_bytes(kNoBytes);
    EXPECT_LE(shape->least_bytes_bound(), bytes);
    EXPECT_EQ(shape->least_bytes(bytes), bytes);
    EXPECT_EQ(shape->least_bytes(bytes + 1), bytes);
    // The same shape has a plan in so much, and none in a byte less.
    for (const std::int64_t budget : {bytes, bytes - 1}) {
      SearchInputs again(asked, options_of(Bytes{budget}));
      SharedPipelines pipelines_again;
      SearchWork spent;
      bool found = false;
      for (const auto& one : make_shapes(again, pipelines_again)) {
        if (one->shape() != shape->shape()) continue;
        while (!found && one->bound() < kInfinity) {
          found = one->advance(kEverything, spent).has_value();
        }
      }
      EXPECT_EQ(found, budget == bytes);
    }
  }
}

}  // namespace
}  // namespace galvatron::search
