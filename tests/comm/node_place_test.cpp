// Machines on each of which our launcher starts ranks: what users and operators say of them.
#include "galvatron/comm/node_place.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

#include "comm/launcher_variables.h"

namespace galvatron::comm {
namespace {

std::optional<NodePlace> place(const Variables& variables, const NodeRequest& request = {}) {
  const LauncherVariables set(variables);
  return read_node_place(request);
}

std::string refusal_of(const Variables& variables, const NodeRequest& request) {
  try {
    place(variables, request);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

// Of the pod of a worker, as Kubeflow's training operator sets them (nprocPerNode: 4).
const Variables kPyTorchJob{{"PET_NNODES", "2"},          {"PET_NPROC_PER_NODE", "4"},
                            {"PET_NODE_RANK", "1"},       {"PET_MASTER_ADDR", "job-master-0"},
                            {"PET_MASTER_PORT", "23456"}, {"RANK", "1"},
                            {"WORLD_SIZE", "8"},          {"MASTER_ADDR", "job-master-0"},
                            {"MASTER_PORT", "23456"},     {"KUBERNETES_SERVICE_HOST", "10.0.0.1"}};

TEST(NodePlace, NothingSaysThatThereAreSeveral) {
  EXPECT_FALSE(place({}));
  EXPECT_FALSE(place({{"RANK", "0"}, {"WORLD_SIZE", "2"}}));
}

TEST(NodePlace, PodsOfAPyTorchJob) {
  const NodePlace pod = *place(kPyTorchJob);
  EXPECT_EQ(pod.nnodes, 2);
  EXPECT_EQ(pod.node_rank, 1);
  EXPECT_EQ(pod.nproc, 4);
  EXPECT_EQ(pod.master_addr, "job-master-0");
  EXPECT_EQ(pod.master_port, 23456);
  // nprocPerNode: auto leaves the number to --nproc.
  Variables automatic = kPyTorchJob;
  automatic["PET_NPROC_PER_NODE"] = "auto";
  EXPECT_EQ(place(automatic)->nproc, 1);
  EXPECT_EQ(place(automatic, {.nproc = 8})->nproc, 8);
}

TEST(NodePlace, ARankOfAPodStartsNone) {
  Variables ours = kPyTorchJob;
  ours.merge(Variables{{"LOCAL_RANK", "0"}, {"GALVATRON_LAUNCHER", "galvatron"}});
  EXPECT_FALSE(place(ours, {.nnodes = 2}));
  ours.erase("GALVATRON_LAUNCHER");  // torchrun's
  EXPECT_FALSE(place(ours));
}

TEST(NodePlace, MachinesThatAUserCounts) {
  const NodeRequest request{
      .nproc = 2, .nnodes = 3, .node_rank = 2, .master_addr = "[fd00::1]", .master_port = 1234};
  const NodePlace given = *place({}, request);
  EXPECT_EQ(given.nproc, 2);
  EXPECT_EQ(given.node_rank, 2);
  EXPECT_EQ(given.master_addr, "fd00::1");
  EXPECT_EQ(given.master_port, 1234);
  EXPECT_EQ(place({{"MASTER_ADDR", "n1"}, {"JOB_COMPLETION_INDEX", "1"}}, {.nnodes = 2})->node_rank,
            1);  // an Indexed Job
  EXPECT_EQ(place({{"MASTER_ADDR", "n1"}, {"RANK", "1"}}, {.nnodes = 2})->master_port, 29500);
}

// srun --ntasks-per-node=1 galvatron train --nnodes 2 --nproc 8
TEST(NodePlace, OneSlurmTaskOnEachNode) {
  const Variables task{{"SLURM_STEP_ID", "0"},
                       {"SLURM_PROCID", "1"},
                       {"SLURM_JOB_ID", "7"},
                       {"SLURM_STEP_NODELIST", "n[1-2]"}};
  const NodePlace node = *place(task, {.nproc = 8, .nnodes = 2});
  EXPECT_EQ(node.node_rank, 1);
  EXPECT_EQ(node.master_addr, "n1");
  EXPECT_EQ(node.master_port, 20007);
  Variables eight = task;
  eight["SLURM_STEP_NUM_TASKS"] = "8";
  EXPECT_NE(refusal_of(eight, {.nproc = 4, .nnodes = 2}).find("srun has started 8 tasks"),
            std::string::npos);
}

TEST(NodePlace, RefusalsNameTheWayOut) {
  const NodeRequest two{.nnodes = 2};
  EXPECT_NE(refusal_of({}, two).find("--nnodes 2 needs --node-rank"), std::string::npos);
  EXPECT_NE(refusal_of({{"RANK", "0"}}, two).find("give --master-addr"), std::string::npos);
  EXPECT_NE(refusal_of({{"RANK", "2"}}, two).find("RANK=2 is not below --nnodes 2"),
            std::string::npos);
  EXPECT_NE(refusal_of({{"LOCAL_RANK", "1"}}, two).find("leave --nnodes away"), std::string::npos);
  EXPECT_NE(refusal_of(kPyTorchJob, {.nproc = 2})
                .find("--nproc 2, but PET_NPROC_PER_NODE=4: leave one of them away"),
            std::string::npos);
  EXPECT_NE(refusal_of({{"PET_NNODES", "1:4"}}, {}).find("'1:4' is no fixed number of machines"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::comm
