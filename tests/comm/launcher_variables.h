// The environment of a test: what a launcher would set, and nothing of what is set around us.
#pragma once
#include <cstdlib>
#include <map>
#include <string>

extern char** environ;

namespace galvatron::comm {

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
         {"SLURM_", "OMPI_",    "PMI_",        "MPI_", "TORCHELASTIC_", "MASTER_", "LOCAL_",
          "PET_",   "PMIX_",    "KUBERNETES_", "JSM_", "PALS_",         "FLUX_",   "MV2_",
          "MVP_",   "HOROVOD_", "PBS_",        "LSB_", "COBALT_",       "PE_"}) {
      if (name.starts_with(prefix)) return true;
    }
    return name == "RANK" || name == "WORLD_SIZE" || name == "GALVATRON_LAUNCHER" ||
           name == "JOB_COMPLETION_INDEX" || name == "CUDA_VISIBLE_DEVICES";
  }
  Variables before_, set_;
};

}  // namespace galvatron::comm
