#include "galvatron/search/search_space.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::search {
namespace {

TEST(Constraints, AllowForbidAndLimit) {
  SearchSpace space;
  add_constraint(space, "tp_degree=1,2,4", true);
  add_constraint(space, "tp_degree=2", false);
  EXPECT_TRUE(space.allows(&plan::LayerStrategy::tp_degree, 4));
  EXPECT_FALSE(space.allows(&plan::LayerStrategy::tp_degree, 2));
  EXPECT_FALSE(space.allows(&plan::LayerStrategy::tp_degree, 8));
  add_constraint(space, "pp_degree<=4", true);
  add_constraint(space, "pp_degree>=2", true);
  EXPECT_EQ(pipeline_degrees(space, 24, 100), (std::vector<int>{2, 3, 4}));
  add_constraint(space, "recompute=full", false);
  EXPECT_FALSE(space.allows(&plan::LayerStrategy::recompute, plan::Recompute::kFull));
  EXPECT_TRUE(space.allows(&plan::LayerStrategy::recompute, plan::Recompute::kSelective));
}

TEST(Constraints, SayWhatIsWrong) {
  const auto message = [](const std::string& text, bool allow = true) {
    SearchSpace space;
    return config_error_of([&] { add_constraint(space, text, allow); });
  };
  EXPECT_NE(message("tp_degre=2").find("did you mean 'tp_degree'?"), std::string::npos);
  EXPECT_EQ(message("cp_degree=1"),
            "[search] 'cp_degree' is no dimension of the search (pp_degree, tp_degree, "
            "tp_consecutive, ulysses_degree, zero_stage, shard_degree, recompute, schedule, "
            "num_microbatches), did "
            "you mean 'pp_degree'?");
  EXPECT_EQ(message("zero_stage=4"), "[search] '4' is no value of zero_stage");
  EXPECT_NE(message("tp_degree").find("has no value"), std::string::npos);
  EXPECT_NE(message("tp_degree<2").find("must use <=, >= or ="), std::string::npos);
  EXPECT_EQ(
      message("schedule=zb-h1"),
      "[search] schedule zb-h1 is none that a search chooses (gpipe, 1f1b, interleaved); give "
      "it in a plan or to train");
  EXPECT_NE(message("schedule<=gpipe").find("has no order"), std::string::npos);
  EXPECT_NE(message("tp_degree<=2", false).find("allow the other one"), std::string::npos);
  for (const char* text : {"tp_degree=0", "tp_degree=-1", "tp_degree=two", "tp_degree=",
                           "tp_degree=99999999999999", "tp_degree=1,,2", "recompute=some"}) {
    EXPECT_NE(message(text), "") << text;
  }
}

TEST(Constraints, ALimitOfZeroIsALimit) {
  SearchSpace space;
  add_constraint(space, "zero_stage<=0", true);
  EXPECT_TRUE(space.allows(&plan::LayerStrategy::zero_stage, 0));
  EXPECT_FALSE(space.allows(&plan::LayerStrategy::zero_stage, 1));
}

TEST(Microbatches, FewestOfEverySize) {
  EXPECT_EQ(microbatch_counts({}, 8), (std::vector<int>{1, 2, 3, 4, 8}));
  EXPECT_EQ(microbatch_counts({}, 7), (std::vector<int>{1, 2, 3, 4, 7}));
  SearchSpace space;
  add_constraint(space, "num_microbatches=3,5,9", true);
  EXPECT_EQ(microbatch_counts(space, 7), (std::vector<int>{3, 5}));
}

TEST(Candidates, EveryDivisorThatTheLayersAllow) {
  // 4 heads, a vocabulary of 509.
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const auto candidates = layer_candidates({}, model, 12, 64, 12);
  const auto degrees = [&](int type) {
    std::vector<std::pair<int, int>> out;
    for (const plan::LayerStrategy& one : candidates[static_cast<std::size_t>(type)]) {
      const std::pair pair{one.tp_degree, one.ulysses_degree};
      if (out.empty() || out.back() != pair) out.push_back(pair);
    }
    return out;
  };
  EXPECT_EQ(degrees(1),
            (std::vector<std::pair<int, int>>{{1, 1}, {1, 2}, {1, 4}, {2, 1}, {2, 2}, {4, 1}}));
  for (const auto& [tp, ulysses] : degrees(0)) EXPECT_EQ(12 % (tp * ulysses), 0);
  // More parts than tokens.
  const auto of_three_tokens = layer_candidates({}, model, 12, 3, 6);
  for (const plan::LayerStrategy& one : of_three_tokens[1]) EXPECT_LE(one.seq_degree(), 3);
}

// Of blocks without Ulysses.
std::vector<int> shard_degrees_of(const SearchSpace& space, int ranks, int ranks_per_node,
                                  int zero_stage, int tp_degree = 1) {
  std::vector<int> out;
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const auto candidates = layer_candidates(space, model, ranks, 64, ranks_per_node);
  for (const plan::LayerStrategy& one : candidates[1]) {
    const bool like = one.tp_degree == tp_degree && one.ulysses_degree == 1 && one.tp_consecutive &&
                      one.zero_stage == zero_stage && one.recompute == plan::Recompute::kNone;
    if (like) out.push_back(one.shard_degree);
  }
  return out;
}

TEST(Candidates, ShardOverANodeWhereReplicasAreMore) {
  EXPECT_EQ(shard_degrees_of({}, 16, 4, 3), (std::vector<int>{0, 4}));
  EXPECT_EQ(shard_degrees_of({}, 16, 4, 0), (std::vector<int>{0}));
  EXPECT_EQ(shard_degrees_of({}, 16, 4, 1, 2), (std::vector<int>{0, 2}));
  EXPECT_EQ(shard_degrees_of({}, 16, 16, 2), (std::vector<int>{0}));
  EXPECT_EQ(shard_degrees_of({}, 16, 1, 2), (std::vector<int>{0}));
}

TEST(Candidates, ShardOverWhatIsNamed) {
  SearchSpace space;
  add_constraint(space, "shard_degree=2,3", true);
  EXPECT_EQ(shard_degrees_of(space, 8, 8, 3), (std::vector<int>{2}));
  EXPECT_EQ(shard_degrees_of(space, 8, 8, 0), (std::vector<int>{0}));
  SearchSpace without;
  add_constraint(without, "shard_degree=4", false);
  EXPECT_EQ(shard_degrees_of(without, 16, 4, 3), (std::vector<int>{0}));
}

}  // namespace
}  // namespace galvatron::search
