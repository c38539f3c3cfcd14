// The tables of what launchers set and what we read from it.
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"

extern char** environ;

namespace galvatron::comm {
namespace {

using Variables = std::map<std::string, std::string>;

// Exactly `variables` among those that launchers set, for the time of a test.
class LauncherVariables {
 public:
  explicit LauncherVariables(const Variables& variables) {
    for (char** entry = environ; *entry; ++entry) {
      const std::string text = *entry;
      const std::string name = text.substr(0, text.find('='));
      if (is_launcher_variable(name)) before_[name] = text.substr(name.size() + 1);
    }
    for (const auto& [name, value] : before_) unsetenv(name.c_str());
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    set_ = variables;
  }
  ~LauncherVariables() {
    for (const auto& [name, value] : set_) unsetenv(name.c_str());
    for (const auto& [name, value] : before_) setenv(name.c_str(), value.c_str(), 1);
  }
  LauncherVariables(const LauncherVariables&) = delete;
  LauncherVariables& operator=(const LauncherVariables&) = delete;

 private:
  static bool is_launcher_variable(const std::string& name) {
    for (const char* prefix :
         {"SLURM_", "OMPI_", "PMI_", "MPI_", "TORCHELASTIC_", "MASTER_", "LOCAL_"}) {
      if (name.starts_with(prefix)) return true;
    }
    return name == "RANK" || name == "WORLD_SIZE" || name == "GALVATRON_LAUNCHER";
  }
  Variables before_, set_;
};

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
                        {"SLURM_JOB_ID", "123456"}};
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

TEST(LaunchEnvironment, ABatchScriptWithoutTasksIsALoneProcess) {
  EXPECT_EQ(read({{"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "12"}}).world_size, 1);
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
      {{{"SLURM_PROCID", "2"}}, "SLURM_NTASKS is not set, but SLURM_PROCID is above 0"},
      {{{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "2"}},
       "SLURM_PROCID=2 is not below SLURM_NTASKS=2"},
      {{{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_TASKS_PER_NODE", "two"}},
       "SLURM_TASKS_PER_NODE='two'"},
      {{{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_NODELIST", "a[1"}},
       "SLURM_NODELIST='a[1'"},
      {{{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}, {"SLURM_TASKS_PER_NODE", "2(x2)"}},
       "neither MASTER_ADDR nor SLURM_NODELIST"},
      {{{"OMPI_COMM_WORLD_RANK", "1"}}, "OMPI_COMM_WORLD_SIZE is not set"},
      {{{"OMPI_COMM_WORLD_RANK", "1"},
        {"OMPI_COMM_WORLD_SIZE", "4"},
        {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}},
       "MASTER_ADDR is not set, but the MPI ranks run on several nodes"},
  };
  for (const auto& [variables, expected] : cases) {
    const std::string message = refusal(variables);
    EXPECT_NE(message.find(expected), std::string::npos)
        << "expected: " << expected << "\ngot: " << message;
  }
}

}  // namespace
}  // namespace galvatron::comm
