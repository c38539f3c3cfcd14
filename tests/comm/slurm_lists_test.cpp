#include "galvatron/comm/slurm_lists.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron::comm {
namespace {

TEST(SlurmLists, FirstHost) {
  const auto first = [](const std::string& list) {
    return first_slurm_host(list, "SLURM_NODELIST");
  };
  EXPECT_EQ(first("node01"), "node01");
  EXPECT_EQ(first("node[01-04]"), "node01");
  EXPECT_EQ(first("node[7,9-11],login"), "node7");
  EXPECT_EQ(first("a.example.org,b"), "a.example.org");
  EXPECT_EQ(first("rack[2-3]-node[008-010]"), "rack2-node008");
  EXPECT_EQ(first("n[1-2]-ib"), "n1-ib");
  for (const char* bad : {"", "node[", "node[a-b]", "[]", ",node1", "no de"}) {
    EXPECT_THROW(first(bad), ConfigError) << bad;
  }
}

TEST(SlurmLists, Counts) {
  const auto counts = [](const std::string& text) {
    return slurm_counts(text, "SLURM_TASKS_PER_NODE");
  };
  EXPECT_EQ(counts("4"), std::vector<int>({4}));
  EXPECT_EQ(counts("4(x3),2"), std::vector<int>({4, 4, 4, 2}));
  EXPECT_EQ(counts("1,2,3(x1)"), std::vector<int>({1, 2, 3}));
  for (const char* bad : {"", "x", "4(x", "4,,2", "4(x9999999)"})
    EXPECT_THROW(counts(bad), ConfigError) << bad;
}

}  // namespace
}  // namespace galvatron::comm
