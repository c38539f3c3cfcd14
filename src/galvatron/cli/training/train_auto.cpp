#include "galvatron/cli/training/train_auto.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/cli/command_line.h"
#include "galvatron/comm/launch.h"
#include "galvatron/profiles/provenance.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::cli {
namespace {

namespace fs = std::filesystem;

// Waits for `galvatron ARGUMENTS`, whose output goes where ours goes. It ends with us.
int run_self(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), fs::read_symlink("/proc/self/exe"));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child < 0)
    throw RuntimeFailure("cannot start galvatron ", arguments[1], ": ", std::strerror(errno));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) execv(argv[0], argv.data());
    _exit(kExitRuntimeFailure);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      throw RuntimeFailure("lost galvatron ", arguments[1], ": ", std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitRuntimeFailure;
}

// The same model by another path has the same profile; another config by the same name has not.
std::uint64_t fingerprint(const spec::ModelSpec& model) {
  return std::hash<std::string>{}(model.config.dump());
}

std::string hardware_file(const AutoPlanRequest& request) {
  const bool one_node = request.ranks_per_node == request.world_size;
  const std::string name = fmt::format(
      "hardware-{}-{}-{}ranks{}.json", comm::host_name(), request.device, request.world_size,
      one_node ? "" : fmt::format("-{}per-node", request.ranks_per_node));
  return fs::path(request.cache_dir) / name;
}

std::string model_file(const AutoPlanRequest& request) {
  const spec::ModelSpec model = spec::load_model(request.model, request.overrides);
  const std::string name =
      fmt::format("model-{}-{}-{}-{}ranks-{}-seq{}-{:016x}.json", model.name, comm::host_name(),
                  request.device, request.ranks_per_node, spec::to_text(request.job.precision),
                  request.job.seq_length, fingerprint(model));
  return fs::path(request.cache_dir) / name;
}

bool has_to_measure(const AutoPlanRequest& request, const std::string& file) {
  return request.refresh || !fs::exists(file);
}

profiles::Provenance provenance_of(const std::string& file) {
  const Json json = read_json_file(file);
  JsonReader reader(json, file);
  return profiles::read_provenance(reader);
}

// What a profile that was there is worth; of a new one, only that it is worth little.
void tell_worth(const std::string& file, bool measured_now) {
  const profiles::Provenance provenance = provenance_of(file);
  const bool unsteady = profiles::is_unsteady(provenance);
  if (measured_now && !unsteady) return;
  std::fprintf(stderr, "%s %s: %s%s\n", measured_now ? "measured" : "using", file.c_str(),
               profiles::source_text(provenance, profiles::current_time()).c_str(),
               unsteady ? "; the machine was busy: --refresh measures again" : "");
}

int measure_hardware_profile(const AutoPlanRequest& request, const std::string& file) {
  return run_self({"profile-hardware", "--nproc", std::to_string(request.ranks_per_node),
                   "--device", request.device, "--output", file});
}

int measure_model_profile(const AutoPlanRequest& request, const std::string& file) {
  std::vector<std::string> measure{"profile-model",
                                   "--model",
                                   request.model,
                                   "--seq-length",
                                   std::to_string(request.job.seq_length),
                                   "--precision",
                                   spec::to_text(request.job.precision),
                                   "--nproc",
                                   std::to_string(request.ranks_per_node),
                                   "--device",
                                   request.device,
                                   "--output",
                                   file};
  const std::vector<std::string> overrides = spec::override_arguments(request.overrides);
  measure.insert(measure.end(), overrides.begin(), overrides.end());
  return run_self(std::move(measure));
}

int search_plan(const AutoPlanRequest& request, const std::string& hardware,
                const std::string& profile) {
  std::vector<std::string> search{"search",
                                  "--model",
                                  request.model,
                                  "--hardware",
                                  hardware,
                                  "--profile",
                                  profile,
                                  "--world-size",
                                  std::to_string(request.world_size),
                                  "--seq-length",
                                  std::to_string(request.job.seq_length),
                                  "--precision",
                                  spec::to_text(request.job.precision),
                                  "--global-batch",
                                  std::to_string(request.job.global_batch),
                                  "--optimizer",
                                  request.job.optimizer->name,
                                  "--output",
                                  request.output};
  const std::vector<std::string> overrides = spec::override_arguments(request.overrides);
  search.insert(search.end(), overrides.begin(), overrides.end());
  if (request.memory)
    search.insert(search.end(), {"--memory", std::to_string(request.memory->value)});
  return run_self(std::move(search));
}

// What one process can do: all but the hardware profile.
int finish_auto_plan(const AutoPlanRequest& request, const std::string& hardware,
                     bool measured_hardware) {
  tell_worth(hardware, measured_hardware);
  const std::string profile = model_file(request);
  const bool measures = has_to_measure(request, profile);
  if (measures) {
    if (const int code = measure_model_profile(request, profile); code != 0) return code;
  }
  tell_worth(profile, measures);
  return search_plan(request, hardware, profile);
}

// The exit code in the first line, the plan behind it.
SharedPlan read_shared(const std::string& text) {
  const std::size_t line = text.find('\n');
  GALV_CHECK(line != std::string::npos, "no line in what rank 0 says");
  SharedPlan out{std::stoi(text.substr(0, line)), {}};
  if (out.code == 0) {
    out.plan = plan::plan_from_json(parse_json(text.substr(line + 1), "rank 0's plan"), "the plan");
  }
  return out;
}

}  // namespace

int make_auto_plan(const AutoPlanRequest& request) {
  const std::string hardware = hardware_file(request);
  const bool measures = has_to_measure(request, hardware);
  if (measures) {
    if (const int code = measure_hardware_profile(request, hardware); code != 0) return code;
  }
  return finish_auto_plan(request, hardware, measures);
}

SharedPlan make_auto_plan(const AutoPlanRequest& request,
                          const comm::LaunchEnvironment& environment) {
  if (environment.world_size > 1 && !environment.store_is_hosted) {
    throw ConfigError(
        "--plan auto starts the ranks itself (--nproc), or runs under torchrun; under ",
        environment.launcher,
        ", run galvatron profile-hardware, profile-model and search before, and give "
        "the plan");
  }
  constexpr std::chrono::hours kPatience{4};
  const bool first = environment.rank == 0;
  const std::string hardware = hardware_file(request);
  const bool measures = comm::share_text(environment, "measures",
                                         first && has_to_measure(request, hardware) ? "yes" : "no",
                                         kPatience) == "yes";
  int code = 0;
  if (measures) {
    // They meet in the same store under another name.
    setenv(comm::kPurposeVariable, "profile-hardware", /*overwrite=*/1);
    code = measure_hardware_profile(request, hardware);
    unsetenv(comm::kPurposeVariable);
  }
  if (code != 0) return {code, {}};
  std::string text;
  if (first) {
    code = finish_auto_plan(request, hardware, measures);
    text = std::to_string(code) + "\n";
    if (code == 0) text += plan::plan_to_text(plan::read_plan(request.output));
  }
  return read_shared(comm::share_text(environment, "plan", text, kPatience));
}

std::string default_cache_dir() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return fs::path(cache) / "galvatron";
  const char* home = std::getenv("HOME");
  return home && *home ? fs::path(home) / ".cache" / "galvatron" : fs::path("profiles");
}

}  // namespace galvatron::cli
