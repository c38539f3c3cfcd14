#include "galvatron/plan/rank_parts.h"

#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"

namespace galvatron::plan {
namespace {

Plan plan_of(const spec::ModelSpec& model, const LayerStrategy& strategy, int pp_degree,
             ScheduleKind schedule = ScheduleKind::k1F1B) {
  Plan plan = uniform_plan(model, {64, 8, spec::Precision::kFp32}, 4 * pp_degree, strategy,
                           pp_degree, 4, schedule);
  EXPECT_EQ(check_plan(plan, model), std::nullopt);
  return plan;
}

// gpt2-tiny: embedding, two blocks and head; the first and the last share the word embedding.
TEST(RankUnits, ASharedWeightIsOneUnitOfARank) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const Plan plan = plan_of(model, {.zero_stage = 3}, 1);
  const auto units = rank_units(model, plan, 0);
  ASSERT_EQ(units.size(), 5u);
  EXPECT_TRUE(units[0].spec.is_tied());
  EXPECT_EQ(units[0].used_by, (std::vector{0, 3}));
  EXPECT_EQ(units[2].used_by, (std::vector{1}));
  const RankParts parts = rank_parts(model, plan, 0, units);
  EXPECT_EQ(parts.units[0].tie, "") << "no copy on another rank";
  EXPECT_TRUE(parts.units[0].gathers);
  EXPECT_EQ(parts.loss_layer, 3);
  EXPECT_EQ(rank_parts(model, plan, 0, units, /*trains=*/false).loss_layer, -1);
}

TEST(RankUnits, CopiesOnOtherRanksAreTied) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const Plan plan = plan_of(model, {.zero_stage = 1}, 2);
  for (int rank = 0; rank < 2; ++rank) {
    const auto units = rank_units(model, plan, rank);
    const RankParts parts = rank_parts(model, plan, rank, units);
    int ties = 0;
    for (std::size_t i = 0; i < units.size(); ++i) {
      EXPECT_EQ(parts.units[i].tie, units[i].spec.tied_name);
      EXPECT_FALSE(parts.units[i].gathers || parts.units[i].reduces_each);
      ties += units[i].spec.is_tied() ? 1 : 0;
    }
    EXPECT_EQ(ties, 1);
    EXPECT_EQ(parts.loss_layer, rank == 1 ? 3 : -1);
  }
}

TEST(RankParts, NameTheLayersWhereTheLayoutChanges) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  Plan plan = plan_of(model, {}, 1);
  plan.layers[2] = {.ulysses_degree = 2};
  const RankParts parts = rank_parts(model, plan, 0, rank_units(model, plan, 0));
  EXPECT_EQ(parts.changes_layout, (std::vector{false, false, true, true}));
}

// What the executor runs and the timeline draws passes the judge, whatever the plan.
TEST(LoweredPlan, PassesTheJudge) {
  for (const char* name : {"gpt2-tiny", "t5-tiny", "swin-tiny"}) {
    const spec::ModelSpec model = spec::load_model(name);
    for (const ScheduleTraits& schedule : schedules()) {
      for (const int zero_stage : {0, 1, 2, 3}) {
        for (const int pp_degree : {1, 2}) {
          Plan plan = uniform_plan(model, {64, 8, spec::Precision::kFp32}, 2 * pp_degree,
                                   {.zero_stage = zero_stage}, pp_degree, 4, schedule.kind);
          if (check_plan(plan, model)) continue;
          std::vector<std::vector<RankUnit>> units;
          for (int rank = 0; rank < pp_degree; ++rank) {
            units.push_back(rank_units(model, plan, rank));
          }
          const LoweredPlan lowered = lower(model, plan, units);
          EXPECT_EQ(check_schedule(lowered.lists, lowered.context), std::nullopt)
              << name << " " << schedule.name << " zero " << zero_stage << " pp " << pp_degree;
        }
      }
    }
  }
}

}  // namespace
}  // namespace galvatron::plan
