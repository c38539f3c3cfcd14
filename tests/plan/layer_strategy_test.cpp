#include "galvatron/plan/layer_strategy.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::plan {
namespace {

TEST(LayerStrategyText, NamesWhatIsNotPlain) {
  EXPECT_EQ(to_text(LayerStrategy{}), "dp");
  LayerStrategy strategy;
  strategy.tp_degree = 2;
  EXPECT_EQ(to_text(strategy), "tp2");
  strategy.ulysses_degree = 4;
  strategy.zero_stage = 3;
  strategy.recompute = Recompute::kFull;
  EXPECT_EQ(to_text(strategy), "tp2 uly4 zero3 full");
  EXPECT_EQ(strategy.seq_degree(), 8);
  strategy.tp_consecutive = false;
  EXPECT_EQ(to_text(strategy), "tp2-strided uly4 zero3 full");
}

TEST(RecomputeText, NamesGoBothWays) {
  ASSERT_EQ(recompute_names().size(), 3u);
  for (const std::string& name : recompute_names()) {
    EXPECT_EQ(to_text(parse_recompute(name)), name);
  }
  EXPECT_EQ(parse_recompute("selective"), Recompute::kSelective);
  EXPECT_EQ(
      config_error_of([] { parse_recompute("selectiv"); }),
      "[recompute] 'selectiv' is not one of none, selective, full, did you mean 'selective'?");
}

}  // namespace
}  // namespace galvatron::plan
