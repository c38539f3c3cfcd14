// Profiles that are kept in a folder by machine, ranks, model and precision: of what a plan is
// searched with, what is missing is measured. By commands of the `galvatron` binary, so that their
// memory and threads are gone before the training starts.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/comm/launch.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/model_overrides.h"

namespace galvatron::profiler {

// Waits for `binary ARGUMENTS`, whose output goes where ours goes, and which ends with us. Exit
// code. `library_path`: LD_LIBRARY_PATH of it; empty: ours.
int run_galvatron(const std::string& binary, const std::vector<std::string>& arguments,
                  const std::string& library_path = "");

struct KeptProfiles {
  std::string binary;
  std::string library_path;  // run_galvatron()
  std::string model;         // preset name, config.json or folder
  spec::ModelOverrides overrides;
  spec::JobSpec job;
  int world_size = 1;
  int ranks_per_node = 1;
  std::string device = "cpu";
  std::string cache_dir;
  bool refresh = false;  // measure again what is there

  std::string hardware_file() const;
  std::string model_file() const;

  // Both: exit code, 0 or that of the command that failed, whose message is already on the
  // terminal. On standard error, of one rank: age, load and steadiness of the profile that is
  // taken.

  // One process alone, or, where another launcher has started the ranks, each of them: they measure
  // together. ConfigError where no store is hosted by which they can agree before they connect.
  int have_hardware(const comm::LaunchEnvironment& environment) const;
  int have_model() const;  // one process
};

// How long ranks wait for rank 0, which measures and searches for all of them.
inline constexpr std::chrono::hours kPatience{4};

// $XDG_CACHE_HOME/galvatron, ~/.cache/galvatron, or ./profiles where there is no home.
std::string default_cache_dir();

}  // namespace galvatron::profiler
