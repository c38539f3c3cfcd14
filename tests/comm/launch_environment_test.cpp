// The tables of what launchers set and what we read from it.
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"

#include "comm/launcher_variables.h"

namespace galvatron::comm {
namespace {

LaunchEnvironment read(const Variables& variables) {
  const LauncherVariables set(variables);
  return read_launch_environment();
}

std::string refusal(const Variables& variables) {
  const LauncherVariables set(variables);
  try {
    read_launch_environment();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

const Variables kTorchrun{{"RANK", "5"},          {"WORLD_SIZE", "8"},
                          {"LOCAL_RANK", "1"},    {"LOCAL_WORLD_SIZE", "4"},
                          {"MASTER_ADDR", "n01"}, {"MASTER_PORT", "29400"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

TEST(LaunchEnvironment, NothingSetIsALoneProcess) {
  const LaunchEnvironment environment = read({});
  EXPECT_EQ(environment.world_size, 1);
  EXPECT_EQ(environment.launcher, "");
  const LauncherVariables none({});
  EXPECT_FALSE(is_rank_process());
}

TEST(LaunchEnvironment, Torchrun) {
  const LaunchEnvironment environment = read(kTorchrun);
  EXPECT_EQ(environment.rank, 5);
  EXPECT_EQ(environment.world_size, 8);
  EXPECT_EQ(environment.local_rank, 1);
  EXPECT_EQ(environment.local_world_size, 4);
  EXPECT_EQ(environment.master_addr, "n01");
  EXPECT_EQ(environment.master_port, 29400);
  EXPECT_EQ(environment.launcher, "torchrun");
  EXPECT_FALSE(environment.store_is_hosted);

  Variables agent = with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True");
  agent["TORCHELASTIC_RESTART_COUNT"] = "2";
  EXPECT_TRUE(read(agent).store_is_hosted);
  EXPECT_EQ(read(agent).restart_count, 2);
  const LauncherVariables set(kTorchrun);
  EXPECT_TRUE(is_rank_process());
}

TEST(LaunchEnvironment, OurOwnLauncherServesTheStore) {
  const LaunchEnvironment environment = read(with(kTorchrun, "GALVATRON_LAUNCHER", "galvatron"));
  EXPECT_EQ(environment.launcher, "galvatron");
  EXPECT_TRUE(environment.store_is_hosted);
  // A launch of one must not launch again.
  const LauncherVariables alone(
      {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"GALVATRON_LAUNCHER", "galvatron"}});
  EXPECT_TRUE(is_rank_process());
}

TEST(LaunchEnvironment, TorchrunComesBeforeSlurm) {
  EXPECT_EQ(read(with(with(kTorchrun, "SLURM_PROCID", "0"), "SLURM_NTASKS", "2")).rank, 5);
}

TEST(LaunchEnvironment, Slurm) {
  const Variables slurm{{"SLURM_PROCID", "6"},           {"SLURM_NTASKS", "7"},
                        {"SLURM_LOCALID", "2"},          {"SLURM_NODEID", "1"},
                        {"SLURM_TASKS_PER_NODE", "4,3"}, {"SLURM_NODELIST", "gpu[07-08,11]"},
                        {"SLURM_JOB_ID", "123456"},      {"SLURM_STEP_ID", "0"}};
  const LaunchEnvironment environment = read(slurm);
  EXPECT_EQ(environment.launcher, "slurm");
  EXPECT_EQ(environment.rank, 6);
  EXPECT_EQ(environment.world_size, 7);
  EXPECT_EQ(environment.local_rank, 2);
  EXPECT_EQ(environment.local_world_size, 3);
  EXPECT_EQ(environment.master_addr, "gpu07");
  EXPECT_EQ(environment.master_port, 20000 + 123456 % 20000);
  EXPECT_FALSE(environment.store_is_hosted);
  EXPECT_EQ(read(with(slurm, "MASTER_ADDR", "head")).master_addr, "head");
  EXPECT_EQ(read(with(slurm, "MASTER_PORT", "1234")).master_port, 1234);
}

TEST(LaunchEnvironment, StepsOfOneSlurmJobHavePortsOfTheirOwn) {
  const auto port = [](const std::string& job, const std::string& step) {
    return read({{"SLURM_PROCID", "0"},
                 {"SLURM_NTASKS", "2"},
                 {"SLURM_TASKS_PER_NODE", "2"},
                 {"SLURM_JOB_ID", job},
                 {"SLURM_STEP_ID", step}})
        .master_port;
  };
  EXPECT_EQ(port("123456", "0"), 20000 + 123456 % 20000);
  EXPECT_NE(port("123456", "0"), port("123456", "1"));
  EXPECT_NE(port("123457", "0"), port("123456", "1"));
}

// What sbatch sets for its script (Slurm 22.05): a place and the tasks of the job, but no step.
const Variables kBatchScript{{"SLURM_PROCID", "0"},
                             {"SLURM_LOCALID", "0"},
                             {"SLURM_NTASKS", "4"},
                             {"SLURM_NNODES", "2"},
                             {"SLURM_TASKS_PER_NODE", "2(x2)"},
                             {"SLURM_NODELIST", "n[1-2]"},
                             {"SLURM_JOB_ID", "12"},
                             {"SLURM_NODEID", "0"}};

TEST(LaunchEnvironment, ABatchScriptIsALoneProcess) {
  EXPECT_EQ(read({{"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "12"}}).world_size, 1);
  EXPECT_EQ(read(kBatchScript).world_size, 1);
  EXPECT_EQ(read(without(kBatchScript, "SLURM_PROCID")).world_size, 1);  // salloc
  const LauncherVariables set(kBatchScript);
  EXPECT_FALSE(is_rank_process());
  EXPECT_NE(unused_tasks_note().find("Slurm gives this job 4 tasks"), std::string::npos);
}

TEST(LaunchEnvironment, ATaskKnowsItsStepAndSaysNothing) {
  const LauncherVariables set(with(kBatchScript, "SLURM_STEP_ID", "0"));
  EXPECT_EQ(read_launch_environment().world_size, 4);
  EXPECT_EQ(unused_tasks_note(), "");
}

// srun --distribution=arbitrary puts task 0 where the user's list begins; SLURM_NODELIST is sorted.
TEST(LaunchEnvironment, RankZeroOfAnArbitraryDistribution) {
  Variables task = with(kBatchScript, "SLURM_STEP_ID", "0");
  task["SLURM_DISTRIBUTION"] = "arbitrary";
  EXPECT_NE(refusal(task).find("set MASTER_ADDR to the host of task 0"), std::string::npos);
  EXPECT_EQ(read(with(task, "MASTER_ADDR", "n2")).master_addr, "n2");
  const std::string file = testing::TempDir() + "slurm_hosts";
  std::ofstream(file) << "n2\nn2\nn1\nn1\n";
  EXPECT_EQ(read(with(task, "SLURM_HOSTFILE", file)).master_addr, "n2");
}

// srun --pty bash, and a launcher in it.
TEST(LaunchEnvironment, AShellOfOneTaskIsALoneProcess) {
  Variables shell = with(kBatchScript, "SLURM_STEP_ID", "0");
  shell["SLURM_STEP_NUM_TASKS"] = "1";
  shell["SLURM_STEP_TASKS_PER_NODE"] = "1";
  EXPECT_EQ(read(shell).world_size, 1);
}

// mpirun in a Slurm job starts its daemons by srun: what they inherit is one task for each node.
TEST(LaunchEnvironment, MpirunInASlurmJobComesBeforeSlurm) {
  Variables variables = with(kBatchScript, "SLURM_STEP_ID", "1");
  variables["SLURM_STEP_NUM_TASKS"] = "2";
  variables["SLURM_STEP_TASKS_PER_NODE"] = "1(x2)";
  Variables open_mpi = variables;
  open_mpi.merge(Variables{{"OMPI_COMM_WORLD_RANK", "3"},
                           {"OMPI_COMM_WORLD_SIZE", "4"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"MASTER_ADDR", "n1"}});
  EXPECT_EQ(read(open_mpi).rank, 3);
  Variables hydra = variables;
  hydra.merge(Variables{{"PMI_RANK", "3"},
                        {"PMI_SIZE", "4"},
                        {"MPI_LOCALRANKID", "1"},
                        {"MPI_LOCALNRANKS", "2"},
                        {"MASTER_ADDR", "n1"}});
  EXPECT_EQ(read(hydra).rank, 3);
  // srun --mpi=pmi2 gives no place on the node: that is Slurm's.
  Variables pmi2 = without(without(hydra, "MPI_LOCALRANKID"), "MPI_LOCALNRANKS");
  EXPECT_EQ(read(pmi2).launcher, "slurm");
}

TEST(LaunchEnvironment, MpiJobsOnOneMachineHavePortsOfTheirOwn) {
  const Variables mpi{{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}};
  EXPECT_EQ(read(mpi).master_port, 29500);
  const int one = read(with(mpi, "PMIX_NAMESPACE", "2104492033")).master_port;
  EXPECT_EQ(one, read(with(mpi, "PMIX_NAMESPACE", "2104492033")).master_port);
  EXPECT_NE(one, read(with(mpi, "PMIX_NAMESPACE", "2104492034")).master_port);
  EXPECT_GE(one, 20000);
  EXPECT_LT(one, 40000);
}

TEST(LaunchEnvironment, RanksWithoutAPlaceOnTheirMachine) {
  const Variables plain = without(without(kTorchrun, "LOCAL_RANK"), "LOCAL_WORLD_SIZE");
  EXPECT_FALSE(read(plain).knows_local_rank);
  EXPECT_EQ(read(plain).local_world_size, 8);
  // One rank in each pod.
  const LaunchEnvironment pod = read(with(plain, "KUBERNETES_SERVICE_HOST", "10.0.0.1"));
  EXPECT_EQ(pod.local_world_size, 1);
  EXPECT_EQ(pod.local_rank, 0);
  EXPECT_TRUE(read(kTorchrun).knows_local_rank);
}

TEST(LaunchEnvironment, AddressesInBrackets) {
  EXPECT_EQ(read(with(kTorchrun, "MASTER_ADDR", "[::1]")).master_addr, "::1");
}

TEST(LaunchEnvironment, ARankTakesTheDeviceThatItIsShown) {
  const Variables slurm{{"SLURM_PROCID", "3"},         {"SLURM_NTASKS", "4"},
                        {"SLURM_LOCALID", "3"},        {"SLURM_STEP_ID", "0"},
                        {"SLURM_TASKS_PER_NODE", "4"}, {"SLURM_JOB_ID", "1"}};
  const auto device = [](const Variables& variables, int num_visible) {
    const LauncherVariables set(variables);
    return device_of_rank(read_launch_environment(), num_visible);
  };
  EXPECT_EQ(device(slurm, 4), 3);
  // --gpus-per-task=1: each rank sees one device, as number 0.
  Variables bound = with(slurm, "SLURM_GPUS_PER_TASK", "a100:1");
  bound["CUDA_VISIBLE_DEVICES"] = "3";
  EXPECT_EQ(device(bound, 1), 0);
  bound["SLURM_GPUS_PER_TASK"] = "2";
  bound["CUDA_VISIBLE_DEVICES"] = "6,7";
  EXPECT_EQ(device(bound, 2), 0);
  bound.erase("SLURM_GPUS_PER_TASK");  // which srun alone does not set
  EXPECT_EQ(device(with(bound, "SLURMD_TRES_BIND", "gpu:per_task:2"), 2), 0);
  bound["SLURM_GPUS_PER_TASK"] = "2";
  // All devices of the job for every rank (--gpus-per-node, or no binding).
  bound["CUDA_VISIBLE_DEVICES"] = "0,1,2,3";
  EXPECT_EQ(device(bound, 4), 3);
  // A wrapper's mask under mpirun; ours hands down the user's own mask.
  const Variables mpi{
      {"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"CUDA_VISIBLE_DEVICES", "1"}};
  EXPECT_EQ(device(mpi, 1), 0);
  Variables ours = with(kTorchrun, "GALVATRON_LAUNCHER", "galvatron");
  ours["CUDA_VISIBLE_DEVICES"] = "5";
  EXPECT_EQ(device(ours, 1), 1);
}

TEST(LaunchEnvironment, OpenMpiAndHydra) {
  const LaunchEnvironment open_mpi = read({{"OMPI_COMM_WORLD_RANK", "3"},
                                           {"OMPI_COMM_WORLD_SIZE", "4"},
                                           {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
                                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  EXPECT_EQ(open_mpi.launcher, "mpi");
  EXPECT_EQ(open_mpi.rank, 3);
  EXPECT_EQ(open_mpi.local_world_size, 4);
  EXPECT_EQ(open_mpi.master_addr, "127.0.0.1");
  const LaunchEnvironment hydra = read({{"PMI_RANK", "9"},
                                        {"PMI_SIZE", "16"},
                                        {"MPI_LOCALRANKID", "1"},
                                        {"MPI_LOCALNRANKS", "8"},
                                        {"MASTER_ADDR", "a"},
                                        {"MASTER_PORT", "77"}});
  EXPECT_EQ(hydra.rank, 9);
  EXPECT_EQ(hydra.local_rank, 1);
  EXPECT_EQ(hydra.master_port, 77);
}

struct LauncherCase {
  const char* launcher;
  Variables variables;
};

TEST(LaunchEnvironment, LaunchersOfOtherSchedulers) {
  const std::vector<LauncherCase> cases = {
      {"jsrun",
       {{"JSM_NAMESPACE_RANK", "5"},
        {"JSM_NAMESPACE_SIZE", "8"},
        {"JSM_NAMESPACE_LOCAL_RANK", "1"},
        {"JSM_NAMESPACE_LOCAL_SIZE", "4"}}},
      {"pals",
       {{"PALS_RANKID", "5"},
        {"PMI_SIZE", "8"},
        {"PMI_RANK", "5"},
        {"PALS_LOCAL_RANKID", "1"},
        {"PALS_LOCAL_SIZE", "4"}}},
      {"flux",
       {{"FLUX_TASK_RANK", "5"},
        {"FLUX_JOB_SIZE", "8"},
        {"FLUX_JOB_NNODES", "2"},
        {"FLUX_TASK_LOCAL_ID", "1"},
        {"PMI_RANK", "5"},
        {"PMI_SIZE", "8"}}},
      {"mvapich",
       {{"MV2_COMM_WORLD_RANK", "5"},
        {"MV2_COMM_WORLD_SIZE", "8"},
        {"MV2_COMM_WORLD_LOCAL_RANK", "1"},
        {"MV2_COMM_WORLD_LOCAL_SIZE", "4"}}},
      {"horovod",
       {{"HOROVOD_RANK", "5"},
        {"HOROVOD_SIZE", "8"},
        {"HOROVOD_LOCAL_RANK", "1"},
        {"HOROVOD_LOCAL_SIZE", "4"}}},
  };
  for (const auto& [launcher, variables] : cases) {
    const LaunchEnvironment found = read(with(variables, "MASTER_ADDR", "n01"));
    EXPECT_EQ(found.launcher, launcher);
    EXPECT_EQ(found.rank, 5) << launcher;
    EXPECT_EQ(found.world_size, 8) << launcher;
    EXPECT_EQ(found.local_rank, 1) << launcher;
    EXPECT_EQ(found.local_world_size, 4) << launcher;
    EXPECT_EQ(found.master_addr, "n01") << launcher;
    EXPECT_NE(refusal(variables).find("MASTER_ADDR is not set"), std::string::npos) << launcher;
  }
}

TEST(LaunchEnvironment, SchedulersListTheFirstHost) {
  const std::string file = ::testing::TempDir() + "pbs_nodes";
  std::ofstream(file) << "\nx1000c0s0b0n0.site\nx1000c0s0b0n0.site\nx1000c0s1b0n0.site\n";
  const Variables pals{{"PALS_RANKID", "3"},
                       {"PALS_LOCAL_RANKID", "1"},
                       {"PALS_LOCAL_SIZE", "2"},
                       {"PBS_NODEFILE", file}};
  const LaunchEnvironment found = read(pals);
  EXPECT_EQ(found.master_addr, "x1000c0s0b0n0.site");
  EXPECT_EQ(found.world_size, 4);  // of two machines, where nothing says it
  const Variables open_mpi{{"OMPI_COMM_WORLD_RANK", "3"},
                           {"OMPI_COMM_WORLD_SIZE", "4"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"PE_HOSTFILE", file}};
  EXPECT_EQ(read(open_mpi).master_addr, "x1000c0s0b0n0.site");
  EXPECT_NE(refusal(without(pals, "PBS_NODEFILE")).find("PALS_SIZE is not set"), std::string::npos);
}

Variables step(const Variables& variables) { return with(variables, "SLURM_STEP_ID", "0"); }

TEST(LaunchEnvironment, RefusalsNameTheVariable) {
  const std::vector<std::pair<Variables, std::string>> cases{
      {without(kTorchrun, "RANK"), "RANK is not set, but WORLD_SIZE is"},
      {without(kTorchrun, "WORLD_SIZE"), "WORLD_SIZE is not set, but RANK is"},
      {without(kTorchrun, "MASTER_ADDR"), "MASTER_ADDR is not set"},
      {without(kTorchrun, "MASTER_PORT"), "MASTER_PORT is not set"},
      {with(kTorchrun, "RANK", "8"), "RANK=8 is not below WORLD_SIZE=8"},
      {with(kTorchrun, "RANK", "five"), "RANK='five' is no whole number"},
      {with(kTorchrun, "RANK", "5x"), "RANK='5x' is no whole number"},
      {with(kTorchrun, "RANK", "-1"), "RANK='-1' is no whole number"},
      {with(kTorchrun, "RANK", "99999999999999999999"), "is no whole number"},
      {with(kTorchrun, "WORLD_SIZE", "0"), "WORLD_SIZE='0' is no whole number from 1"},
      {with(kTorchrun, "LOCAL_RANK", "4"), "LOCAL_RANK=4 is not below LOCAL_WORLD_SIZE=4"},
      {with(kTorchrun, "LOCAL_WORLD_SIZE", "9"), "LOCAL_WORLD_SIZE=9 is not below WORLD_SIZE=9"},
      {with(kTorchrun, "MASTER_PORT", "70000"),
       "MASTER_PORT='70000' is no whole number from 1 to 65535"},
      {step({{"SLURM_PROCID", "2"}}), "SLURM_NTASKS is not set, but SLURM_PROCID is above 0"},
      {step({{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "2"}}),
       "SLURM_PROCID=2 is not below SLURM_NTASKS=2"},
      {step({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_TASKS_PER_NODE", "two"}}),
       "SLURM_TASKS_PER_NODE='two'"},
      {step({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_NODELIST", "a[1"}}),
       "SLURM_NODELIST='a[1'"},
      {step({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_TASKS_PER_NODE", "2(x2)"}}),
       "neither MASTER_ADDR nor SLURM_NODELIST"},
      {with(kTorchrun, "MASTER_ADDR", "n01:29500"), "MASTER_ADDR='n01:29500' holds a port"},
      {with(kTorchrun, "MASTER_ADDR", "tcp://n01"), "MASTER_ADDR='tcp://n01' is no host"},
      {{{"PMIX_RANK", "1"}, {"PMIX_NAMESPACE", "7"}},
       "PMIX_RANK=1 is set, but nothing says how many ranks there are"},
      {{{"RANK", "1"},
        {"WORLD_SIZE", "8"},
        {"PET_NNODES", "2"},
        {"MASTER_ADDR", "job-master-0"},
        {"MASTER_PORT", "23456"}},
       "RANK=1 is one of PET_NNODES=2 machines, but WORLD_SIZE=8 counts ranks"},
      {{{"OMPI_COMM_WORLD_RANK", "1"}}, "OMPI_COMM_WORLD_SIZE is not set"},
      {{{"OMPI_COMM_WORLD_RANK", "1"},
        {"OMPI_COMM_WORLD_SIZE", "4"},
        {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}},
       "MASTER_ADDR is not set, but the ranks of mpi run on several nodes"},
  };
  for (const auto& [variables, expected] : cases) {
    const std::string message = refusal(variables);
    EXPECT_NE(message.find(expected), std::string::npos)
        << "expected: " << expected << "\ngot: " << message;
  }
}

}  // namespace
}  // namespace galvatron::comm
