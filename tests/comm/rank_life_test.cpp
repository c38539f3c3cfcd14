#include "galvatron/comm/rank_life.h"

#include <gtest/gtest.h>

namespace galvatron::comm {
namespace {

constexpr Limits kLimits{.join = 300, .step = 45, .io = 1800};

SeenBeat computing(const std::string& doing, double idle) {
  Beat beat;
  beat.host = "a";
  beat.step = 41;
  beat.doing = doing;
  beat.idle = idle;
  return {beat, 0.5};
}

SeenBeat waiting(const std::string& what, std::vector<int> on, double idle) {
  SeenBeat seen = computing("forward of layer 1", idle);
  seen.beat.waits_for = what;
  seen.beat.waits_on = std::move(on);
  return seen;
}

TEST(RankLife, WhoWaitsIsNotBlamed) {
  const SeenBeat worker = computing("backward of layer 7", 3);
  const SeenBeat waiter = waiting("all_gather 812", {0, 1}, 500);
  EXPECT_FALSE(judge(std::vector{worker, waiter}, kLimits));
}

TEST(RankLife, WhoStandsStillIsNamedWithThoseWhoWait) {
  const std::vector seen{waiting("all_gather 812", {0, 1, 2, 3}, 46),
                         waiting("all_gather 812", {0, 1, 2, 3}, 47),
                         waiting("all_gather 812", {0, 1, 2, 3}, 48),
                         computing("forward of layer 7, microbatch 2", 45)};
  const auto verdict = judge(seen, kLimits);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(*verdict,
            "rank 3 on a shows no life for 45 s and did not come to all_gather 812 on ranks "
            "0,1,2,3, where ranks 0,1,2 wait; it was last seen in forward of layer 7, microbatch 2 "
            "of step 41");
  EXPECT_TRUE(is_verdict(*verdict));
}

TEST(RankLife, AProcessThatSaysNothingIsGoneWhateverItDid) {
  for (SeenBeat rank1 : {waiting("barrier 1", {0, 1}, 0), computing("saving a checkpoint", 0)}) {
    rank1.beat.on_files = !rank1.beat.waits();
    rank1.silence = 46;
    const auto verdict = judge(std::vector{computing("forward of layer 0", 1), rank1}, kLimits);
    ASSERT_TRUE(verdict);
    EXPECT_TRUE(verdict->starts_with("rank 1 on a shows no life for 46 s; it was last seen "))
        << *verdict;
    rank1.beat.has_left = true;
    EXPECT_FALSE(judge(std::vector{computing("forward of layer 0", 1), rank1}, kLimits));
  }
}

TEST(RankLife, FilesHaveALimitOfTheirOwn) {
  SeenBeat saving = computing("saving a checkpoint", 1700);
  saving.beat.on_files = true;
  const SeenBeat waiter = waiting("all_gather 3", {0, 1}, 1700);
  EXPECT_FALSE(judge(std::vector{saving, waiter}, kLimits));
  saving.beat.idle = 1801;
  EXPECT_TRUE(judge(std::vector{saving, waiter}, kLimits)
                  ->ends_with("it was last seen saving a checkpoint of step 41"));
}

TEST(RankLife, RanksThatOnlyWaitForEachOtherEndToo) {
  std::vector seen{waiting("all_reduce 5", {0, 1}, 50), waiting("all_gather 3", {0, 1}, 46)};
  EXPECT_EQ(*judge(seen, kLimits),
            "no rank goes on for 46 s: rank 0 on a waits in all_reduce 5 on ranks 0,1, rank 1 on a "
            "waits in all_gather 3 on ranks 0,1 (is the network between them up, and do they run "
            "the same plan?)");
  seen[1].beat.idle = 2;  // data arrive
  EXPECT_FALSE(judge(seen, kLimits));
}

TEST(RankLife, ABeatSurvivesItsText) {
  const Beat beat = waiting("receive 4", {1, 2}, 1.5).beat;
  const Beat again = beat_from_text(beat_to_text(beat));
  EXPECT_EQ(beat_to_text(again), beat_to_text(beat));
  EXPECT_EQ(again.waits_on, (std::vector<int>{1, 2}));
  EXPECT_EQ(last_seen(again), "waiting in receive 4 on ranks 1,2 of step 41");
}

}  // namespace
}  // namespace galvatron::comm
