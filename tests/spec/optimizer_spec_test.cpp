#include "galvatron/spec/optimizer_spec.h"

#include <set>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

TEST(OptimizerSpec, AdamWIsTheDefaultAndTheMeasureOfTime) {
  const OptimizerSpec& adamw = find_optimizer("adamw");
  EXPECT_EQ(&adamw, &default_optimizer());
  EXPECT_EQ(adamw.states, (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
  EXPECT_EQ(adamw.words(), 7);
  EXPECT_EQ(adamw.relative_time(), 1);
}

TEST(OptimizerSpec, ANearMissIsNamed) {
  EXPECT_NE(config_error_of([] { find_optimizer("adam"); }).find(", did you mean 'adamw'?"),
            std::string::npos);
}

TEST(OptimizerSpec, EveryOptionIsThereOnceAndItsDefaultIsInRange) {
  std::set<std::string> names;
  for (const OptimizerOption& option : optimizer_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_LE(option.min, option.standard) << option.name;
    EXPECT_LE(option.standard, option.max) << option.name;
  }
  for (const OptimizerSpec& optimizer : optimizers()) {
    for (const OptimizerOption& option : optimizer.options)
      EXPECT_TRUE(names.contains(option.name));
  }
}

TEST(OptimizerChoice, HasDefaultsWhereNothingWasSet) {
  EXPECT_EQ(OptimizerChoice().spec().name, "adamw");
  const OptimizerChoice choice("adamw", {{"beta1", 0.5}});
  EXPECT_EQ(choice.value("beta1"), 0.5);
  EXPECT_EQ(choice.value("beta2"), 0.95);
  EXPECT_THROW(choice.value("beta3"), InternalError);
}

}  // namespace
}  // namespace galvatron::spec
