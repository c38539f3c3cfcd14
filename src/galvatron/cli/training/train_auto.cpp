#include "galvatron/cli/training/train_auto.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/cli/command_line.h"
#include "galvatron/spec/model_spec.h"

extern char** environ;

namespace galvatron::cli {
namespace {

namespace fs = std::filesystem;

// Waits for `galvatron ARGUMENTS`, whose output goes where ours goes.
int run_self(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), fs::read_symlink("/proc/self/exe"));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environ);
  if (error != 0)
    throw RuntimeFailure("cannot start galvatron ", arguments[1], ": ", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      throw RuntimeFailure("lost galvatron ", arguments[1], ": ", std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitRuntimeFailure;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "host";
}

// The same model by another path has the same profile; another config by the same name has not.
std::uint64_t fingerprint(const spec::ModelSpec& model) {
  return std::hash<std::string>{}(model.config.dump());
}

std::string hardware_file(const AutoPlanRequest& request) {
  const std::string name =
      fmt::format("hardware-{}-{}-{}ranks.json", host_name(), request.device, request.nproc);
  return fs::path(request.cache_dir) / name;
}

std::string model_file(const AutoPlanRequest& request) {
  const spec::ModelSpec model = spec::load_model(request.model, request.overrides);
  const std::string name =
      fmt::format("model-{}-{}-{}-{}ranks-{}-seq{}-{:016x}.json", model.name, host_name(),
                  request.device, request.nproc, spec::to_text(request.job.precision),
                  request.job.seq_length, fingerprint(model));
  return fs::path(request.cache_dir) / name;
}

// Runs the command unless its output is there.
int make_file(const std::string& output, std::vector<std::string> arguments) {
  if (fs::exists(output)) {
    std::fprintf(stderr, "using %s\n", output.c_str());
    return 0;
  }
  arguments.insert(arguments.end(), {"--output", output});
  return run_self(std::move(arguments));
}

}  // namespace

int make_auto_plan(const AutoPlanRequest& request) {
  const std::string nproc = std::to_string(request.nproc),
                    seq_length = std::to_string(request.job.seq_length);
  const std::string precision = spec::to_text(request.job.precision);
  const std::string hardware = hardware_file(request), profile = model_file(request);
  int code =
      make_file(hardware, {"profile-hardware", "--nproc", nproc, "--device", request.device});
  if (code != 0) return code;
  const std::vector<std::string> overrides = spec::override_arguments(request.overrides);
  std::vector<std::string> measure{"profile-model", "--model",     request.model, "--seq-length",
                                   seq_length,      "--precision", precision,     "--nproc",
                                   nproc,           "--device",    request.device};
  measure.insert(measure.end(), overrides.begin(), overrides.end());
  code = make_file(profile, std::move(measure));
  if (code != 0) return code;
  std::vector<std::string> search{"search",
                                  "--model",
                                  request.model,
                                  "--hardware",
                                  hardware,
                                  "--profile",
                                  profile,
                                  "--world-size",
                                  nproc,
                                  "--seq-length",
                                  seq_length,
                                  "--precision",
                                  precision,
                                  "--global-batch",
                                  std::to_string(request.job.global_batch),
                                  "--optimizer",
                                  request.job.optimizer->name,
                                  "--output",
                                  request.output};
  search.insert(search.end(), overrides.begin(), overrides.end());
  if (request.memory)
    search.insert(search.end(), {"--memory", std::to_string(request.memory->value)});
  return run_self(std::move(search));
}

std::string default_cache_dir() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return fs::path(cache) / "galvatron";
  const char* home = std::getenv("HOME");
  return home && *home ? fs::path(home) / ".cache" / "galvatron" : fs::path("profiles");
}

}  // namespace galvatron::cli
