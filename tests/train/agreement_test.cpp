#include "galvatron/train/agreement.h"

#include <atomic>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/gather.h"

#include "config_error.h"

namespace galvatron::train {
namespace {

TEST(Agreement, NamesRankThingAndBothValues) {
  std::atomic<int> told = 0;
  comm::run_rank_threads(3, [&](comm::World& world) {
    const OrderedJson facts{{"option seed", world.rank() == 2 ? 9 : 7}, {"a plan", "xxh3:1"}};
    const std::string said = config_error_of([&] { require_agreement(world, facts); });
    const bool names_all = said.find("rank 2 on ") != std::string::npos &&
                           said.find("has option seed 9, but rank 0 on ") != std::string::npos &&
                           said.find("has 7") != std::string::npos;
    EXPECT_TRUE(names_all) << said;
    if (names_all) ++told;
  });
  EXPECT_EQ(told, 3);
}

TEST(Agreement, AThingThatOneRankLacksIsADifference) {
  comm::run_rank_threads(2, [&](comm::World& world) {
    OrderedJson facts{{"a plan", "xxh3:1"}};
    if (world.rank() == 1) facts["data .bin"] = "of 8 bytes";
    EXPECT_NE(config_error_of([&] { require_agreement(world, facts); }).find("has nothing"),
              std::string::npos);
  });
}

TEST(Agreement, IsSilentWhereThereIsNone) {
  comm::run_rank_threads(2, [&](comm::World& world) {
    EXPECT_EQ(config_error_of([&] { require_agreement(world, {{"option seed", 7}}); }), "");
  });
}

TEST(AllOrNone, AProblemOfOneRankIsEveryRanks) {
  comm::run_rank_threads(3, [&](comm::World& world) {
    const std::string said = config_error_of([&] {
      all_or_none(world, [&] {
        if (world.rank() == 1) throw ConfigError("no disk");
      });
    });
    EXPECT_EQ(said.find("rank 1 on "), 0U) << said;
    EXPECT_NE(said.find(": no disk"), std::string::npos) << said;
    EXPECT_EQ(config_error_of([&] { all_or_none(world, [] { throw ConfigError("all alike"); }); }),
              "all alike");
    EXPECT_EQ(config_error_of([&] { all_or_none(world, [] {}); }), "");
  });
}

}  // namespace
}  // namespace galvatron::train
