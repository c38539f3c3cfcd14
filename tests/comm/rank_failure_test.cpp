#include "galvatron/comm/rank_failure.h"

#include <csignal>
#include <vector>

#include <gtest/gtest.h>

namespace galvatron::comm {
namespace {

int exited(int code) { return code << 8; }
int killed(int signal) { return signal; }

const std::string kEcho =
    "error: all_reduce on ranks 0,1 failed: lost the connection to rank 1 (reset)\n";

TEST(RankFailure, AKilledRankIsTheCause) {
  const std::vector<RankFailure> failures{
      {0, exited(1), ""}, {2, exited(1), kEcho}, {1, killed(SIGKILL), ""}};
  const RankFailure& cause = root_cause(failures);
  EXPECT_EQ(cause.rank, 1);
  EXPECT_EQ(exit_code(cause), 1);
  EXPECT_EQ(describe_failure(cause, failures),
            "galvatron: rank 1 was killed by signal 9 (Killed); the other ranks were ended");
  EXPECT_EQ(describe_failure(cause, failures, {"", "in forward of layer 7 of step 41"}),
            "galvatron: rank 1 was killed by signal 9 (Killed); the other ranks were ended; it was "
            "last seen in forward of layer 7 of step 41");
}

TEST(RankFailure, AReasonComesBeforeItsEchoes) {
  const std::vector<RankFailure> failures{
      {3, exited(1), kEcho},
      {0, exited(1), ""},
      {2, exited(1), "step 4\ngalvatron: error: disk full\n\n"}};
  const RankFailure& cause = root_cause(failures);
  EXPECT_EQ(cause.rank, 2);
  EXPECT_EQ(
      describe_failure(cause, failures),
      "galvatron: rank 2 failed with exit code 1; the other ranks were ended. Its last words: "
      "error: disk full");
}

TEST(RankFailure, TheRanksVerdictIsToldWhereRankZeroCannot) {
  const LastSigns signs{"rank 0 on a shows no life for 45 s", ""};
  const std::vector<RankFailure> rank_1{{1, exited(1), "error: no life\n"}};
  EXPECT_EQ(describe_failure(root_cause(rank_1), rank_1, signs),
            "galvatron: rank 0 on a shows no life for 45 s; the ranks were ended");
  const std::vector<RankFailure> both{{1, exited(1), "error: no life\n"}, {0, exited(1), ""}};
  EXPECT_EQ(describe_failure(root_cause(both), both, signs), "");
}

TEST(RankFailure, RankZeroIsTheCauseWhenTheOthersOnlyEcho) {
  const std::vector<RankFailure> failures{{1, exited(1), kEcho}, {0, exited(1), ""}};
  EXPECT_EQ(root_cause(failures).rank, 0);
}

TEST(RankFailure, BadInputIsToldByRankZeroOrElseOnce) {
  const std::vector<RankFailure> all{{1, exited(2), "error: no\n"}, {0, exited(2), ""}};
  EXPECT_EQ(describe_failure(root_cause(all), all), "");
  EXPECT_EQ(exit_code(root_cause(all)), 2);
  const std::vector<RankFailure> one{{0, exited(1), ""}, {1, exited(2), "error: no\n"}};
  EXPECT_EQ(describe_failure(root_cause(one), one), "error: no");
}

}  // namespace
}  // namespace galvatron::comm
