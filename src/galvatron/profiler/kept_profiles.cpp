#include "galvatron/profiler/kept_profiles.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/cache_folder.h"
#include "galvatron/base/error.h"
#include "galvatron/profiles/provenance.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::profiler {
namespace {

namespace fs = std::filesystem;

// The same model by another path has the same profile; another config by the same name has not.
std::uint64_t fingerprint(const spec::ModelSpec& model) {
  return std::hash<std::string>{}(model.config.dump());
}

bool has_to_measure(const KeptProfiles& profiles, const std::string& file) {
  return profiles.refresh || !fs::exists(file);
}

// What a profile that was there is worth; of a new one, only that it is worth little.
void tell_worth(const std::string& file, bool measured_now) {
  const Json json = read_json_file(file);
  JsonReader reader(json, file);
  const profiles::Provenance provenance = profiles::read_provenance(reader);
  const bool unsteady = profiles::is_unsteady(provenance);
  if (measured_now && !unsteady) return;
  std::fprintf(stderr, "%s %s: %s%s\n", measured_now ? "measured" : "using", file.c_str(),
               profiles::source_text(provenance, profiles::current_time()).c_str(),
               unsteady ? "; the machine was busy: --refresh measures again" : "");
}

int measure_hardware(const KeptProfiles& profiles, const std::string& file) {
  return run_galvatron(profiles.binary,
                       {"profile-hardware", "--nproc", std::to_string(profiles.ranks_per_node),
                        "--device", profiles.device, "--output", file},
                       profiles.library_path);
}

int measure_model(const KeptProfiles& profiles, const std::string& file) {
  std::vector<std::string> measure{"profile-model",
                                   "--model",
                                   profiles.model,
                                   "--seq-length",
                                   std::to_string(profiles.job.seq_length),
                                   "--precision",
                                   spec::to_text(profiles.job.precision),
                                   "--nproc",
                                   std::to_string(profiles.ranks_per_node),
                                   "--device",
                                   profiles.device,
                                   "--output",
                                   file};
  const std::vector<std::string> overrides = spec::override_arguments(profiles.overrides);
  measure.insert(measure.end(), overrides.begin(), overrides.end());
  return run_galvatron(profiles.binary, measure, profiles.library_path);
}

}  // namespace

int run_galvatron(const std::string& binary, const std::vector<std::string>& arguments,
                  const std::string& library_path) {
  std::vector<std::string> words = arguments;
  words.insert(words.begin(), binary);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child < 0)
    throw RuntimeFailure("cannot start galvatron ", words[1], ": ", std::strerror(errno));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!library_path.empty()) setenv("LD_LIBRARY_PATH", library_path.c_str(), /*overwrite=*/1);
    if (getppid() == parent) execv(argv[0], argv.data());
    _exit(1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      throw RuntimeFailure("lost galvatron ", words[1], ": ", std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

std::string KeptProfiles::hardware_file() const {
  const bool one_node = ranks_per_node == world_size;
  const std::string name =
      fmt::format("hardware-{}-{}-{}ranks{}.json", comm::host_name(), device, world_size,
                  one_node ? "" : fmt::format("-{}per-node", ranks_per_node));
  return fs::path(cache_dir) / name;
}

std::string KeptProfiles::model_file() const {
  const spec::ModelSpec spec = spec::load_model(model, overrides);
  const std::string name = fmt::format(
      "model-{}-{}-{}-{}ranks-{}-seq{}-{:016x}.json", spec.name, comm::host_name(), device,
      ranks_per_node, spec::to_text(job.precision), job.seq_length, fingerprint(spec));
  return fs::path(cache_dir) / name;
}

int KeptProfiles::have_hardware(const comm::LaunchEnvironment& environment) const {
  if (environment.world_size > 1 && !environment.store_is_hosted) {
    throw ConfigError(
        "--plan auto starts the ranks itself (--nproc), or runs under torchrun; under ",
        environment.launcher,
        ", run galvatron profile-hardware, profile-model and search before, and give "
        "the plan");
  }
  const std::string file = hardware_file();
  const bool first = environment.rank == 0;
  const bool measures =
      comm::share_text(environment, "measures", first && has_to_measure(*this, file) ? "yes" : "no",
                       kPatience) == "yes";
  int code = 0;
  if (measures) {
    // They meet in the same store under another name.
    if (environment.world_size > 1)
      setenv(comm::kPurposeVariable, "profile-hardware", /*overwrite=*/1);
    code = measure_hardware(*this, file);
    if (environment.world_size > 1) unsetenv(comm::kPurposeVariable);
  }
  if (code == 0 && first) tell_worth(file, measures);
  return code;
}

int KeptProfiles::have_model() const {
  const std::string file = model_file();
  const bool measures = has_to_measure(*this, file);
  const int code = measures ? measure_model(*this, file) : 0;
  if (code == 0) tell_worth(file, measures);
  return code;
}

std::string default_cache_dir() { return cache_folder().value_or("profiles"); }

}  // namespace galvatron::profiler
