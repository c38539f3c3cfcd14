#include "galvatron/comm/pinning.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "comm/launcher_variables.h"

namespace galvatron::comm {
namespace {

// Two nodes of four cores with two hardware threads each: core c has CPUs c and c + 8.
CpuTopology two_nodes() {
  CpuTopology topology;
  for (int core = 0; core < 8; ++core) topology.cores.push_back({core, core + 8});
  topology.numa_nodes = {{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}};
  return topology;
}

std::string text_of(const Pin& pin) {
  return cpu_list(pin.cpus) + " threads " + std::to_string(pin.threads);
}

std::vector<std::string> pins(PinMode mode, int num_ranks) {
  std::vector<std::string> out;
  for (int rank = 0; rank < num_ranks; ++rank) {
    out.push_back(text_of(pin_of(mode, two_nodes(), rank, num_ranks)));
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(Pinning, CpuLists) {
  EXPECT_EQ(cpu_list({0, 1, 2, 3, 8}), "0-3,8");
  EXPECT_EQ(cpu_list({5}), "5");
  EXPECT_EQ(cpu_list({}), "");
}

TEST(Pinning, NumaNodesAreDealtInOrder) {
  EXPECT_EQ(pins(PinMode::kNuma, 1), (Texts{"0-15 threads 8"}));
  EXPECT_EQ(pins(PinMode::kNuma, 2), (Texts{"0-3,8-11 threads 4", "4-7,12-15 threads 4"}));
  EXPECT_EQ(pins(PinMode::kNuma, 4), (Texts{"0-3,8-11 threads 2", "0-3,8-11 threads 2",
                                            "4-7,12-15 threads 2", "4-7,12-15 threads 2"}));
  EXPECT_EQ(pins(PinMode::kNuma, 3),
            (Texts{"0-3,8-11 threads 2", "0-3,8-11 threads 2", "4-7,12-15 threads 4"}));
}

TEST(Pinning, CoresAreDealtInOrder) {
  EXPECT_EQ(pins(PinMode::kCore, 4), (Texts{"0-1,8-9 threads 2", "2-3,10-11 threads 2",
                                            "4-5,12-13 threads 2", "6-7,14-15 threads 2"}));
  EXPECT_EQ(pins(PinMode::kCore, 3),
            (Texts{"0-1,8-9 threads 2", "2-4,10-12 threads 3", "5-7,13-15 threads 3"}));
  const Pin shared = pin_of(PinMode::kCore, two_nodes(), 15, 16);  // two ranks for each core
  EXPECT_EQ(text_of(shared), "7,15 threads 1");
  EXPECT_EQ(shared.place, "1 of 8 cores");
}

TEST(Pinning, AutoBindsToNumaNodesWhereThereAreSeveral) {
  EXPECT_EQ(pins(PinMode::kAuto, 2), pins(PinMode::kNuma, 2));
  CpuTopology one = two_nodes();
  one.numa_nodes = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
  EXPECT_EQ(text_of(pin_of(PinMode::kAuto, one, 1, 2)), " threads 4");
  EXPECT_EQ(text_of(pin_of(PinMode::kNone, two_nodes(), 1, 2)), " threads 4");
}

// Each rank of srun --cpu-bind=cores has CPUs of its own, and divides them with nobody.
TEST(Pinning, RanksThatMayUseTheSameCpusDivideThem) {
  const Texts texts{"a 0-7", "a 8-15", "a 0-7", "b 0-7", "a 0-7"};
  EXPECT_EQ(sharing_of(texts, 0).index, 0);
  EXPECT_EQ(sharing_of(texts, 2).index, 1);
  EXPECT_EQ(sharing_of(texts, 4).index, 2);
  EXPECT_EQ(sharing_of(texts, 4).num_ranks, 3);
  EXPECT_EQ(sharing_of(texts, 1).num_ranks, 1);
  EXPECT_EQ(sharing_of(texts, 3).num_ranks, 1);
}

TEST(Pinning, ThreadsAreTheUsersUnlessOurLauncherSetThem) {
  setenv("OMP_NUM_THREADS", "3", 1);
  EXPECT_TRUE(user_sets_threads());
  setenv(kThreadsVariable, "1", 1);
  EXPECT_FALSE(user_sets_threads());
  unsetenv(kThreadsVariable);
}

TEST(Pinning, NobodySetsTheThreadsOfSrunAndMpirun) {
  const LauncherVariables mpi({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}});
  setenv("OMP_NUM_THREADS", "1", 1);
  EXPECT_FALSE(nobody_sets_threads());
  unsetenv("OMP_NUM_THREADS");
  EXPECT_TRUE(nobody_sets_threads());
  const LauncherVariables alone({});
  EXPECT_FALSE(nobody_sets_threads());
}

TEST(Pinning, TheTopologyIsThisMachines) {
  if (!knows_topology()) GTEST_SKIP() << "this build has no hwloc";
  const CpuTopology topology = read_topology();
  ASSERT_FALSE(topology.cores.empty());
  Cpus all;
  for (const Cpus& core : topology.cores) all.insert(all.end(), core.begin(), core.end());
  std::sort(all.begin(), all.end());
  const std::string own = own_cpus();
  EXPECT_TRUE(own.ends_with(" " + cpu_list(all))) << own << " and " << cpu_list(all);
}

// hwloc plays another machine.
TEST(Pinning, ATopologyOfTwoNodes) {
  if (!knows_topology()) GTEST_SKIP() << "this build has no hwloc";
  setenv("HWLOC_SYNTHETIC", "package:2 [numa] core:4 pu:2", 1);
  const CpuTopology topology = read_topology();
  unsetenv("HWLOC_SYNTHETIC");
  ASSERT_EQ(topology.numa_nodes.size(), 2u);
  ASSERT_EQ(topology.cores.size(), 8u);
  EXPECT_EQ(cpu_list(topology.cores[1]), "2-3");
  EXPECT_EQ(cpu_list(topology.numa_nodes[1]), "8-15");
}

}  // namespace
}  // namespace galvatron::comm
