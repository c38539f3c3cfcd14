#include "galvatron/plan/layer_strategy.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

#include "config_error.h"
#include "test_paths.h"

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
  strategy.shard_degree = 8;
  EXPECT_EQ(to_text(strategy), "tp2-strided uly4 zero3 shard8 full");
}

TEST(RecomputeText, NamesGoBothWays) {
  ASSERT_EQ(enum_names<Recompute>().size(), 3u);
  for (const Recompute value : enum_values<Recompute>()) {
    EXPECT_EQ(parse_enum<Recompute>(to_text(value)), value);
  }
  EXPECT_EQ(parse_enum<Recompute>("selective"), Recompute::kSelective);
  EXPECT_EQ(
      config_error_of([] { parse_enum<Recompute>("selectiv"); }),
      "[recompute] 'selectiv' is not one of none, selective, full, did you mean 'selective'?");
}

TEST(TiedFields, AreThoseThatDivideAndShardParameters) {
  EXPECT_EQ(kNumTiedFields, 4u);
  const LayerStrategy plain, whole{.recompute = Recompute::kFull};
  EXPECT_TRUE(split_parameters_alike(plain, whole));
  EXPECT_FALSE(tied_difference(plain, whole));
  const LayerStrategy far{.tp_degree = 2, .zero_stage = 1, .tp_consecutive = false};
  const auto difference = tied_difference({.tp_degree = 2}, far);
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->name, "tp_consecutive");
  EXPECT_EQ(difference->one + " " + difference->other, "true false");
}

TEST(FieldsAndKinds, RecomputeFollowsWhatTheLayerKeeps) {
  const LayerStrategy selective{.recompute = Recompute::kSelective};
  const LayerStrategy full{.recompute = Recompute::kFull};
  EXPECT_EQ(fitted(selective, spec::LayerKind::kBlock), selective);
  EXPECT_EQ(fitted(full, spec::LayerKind::kMerge), full);
  EXPECT_EQ(fitted(selective, spec::LayerKind::kMerge), LayerStrategy{});
  EXPECT_EQ(fitted(full, spec::LayerKind::kHead), LayerStrategy{});
  EXPECT_EQ(misfit_problem(full, spec::LayerKind::kMerge), std::nullopt);
  EXPECT_EQ(misfit_problem(full, spec::LayerKind::kEmbedding),
            "recompute 'full' must be 'none' here: an embedding keeps next to nothing");
}

TEST(FieldNames, AreUniqueAndDescribed) {
  std::set<std::string> names, words;
  int fields = 0;
  for_each_field([&](const auto& field) {
    ++fields;
    names.insert(field.name);
    words.insert(field.word);
    EXPECT_STRNE(field.help, "") << field.name;
  });
  EXPECT_EQ(names.size(), static_cast<std::size_t>(fields));
  EXPECT_EQ(words.size(), static_cast<std::size_t>(fields));
}

TEST(FieldNames, StandInTheDocumentedTable) {
  std::ifstream file(testing_paths::source_dir() / "docs/design/plans.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  ASSERT_NE(text, "");
  for_each_field([&](const auto& field) {
    const std::string cell = std::string("`layers[].") + field.name + "`";
    EXPECT_NE(text.find(cell), std::string::npos) << cell;
  });
}

}  // namespace
}  // namespace galvatron::plan
