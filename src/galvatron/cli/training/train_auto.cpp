#include "galvatron/cli/training/train_auto.h"

#include <filesystem>
#include <vector>

#include "galvatron/base/error.h"

namespace galvatron::cli {
namespace {

int search_plan(const AutoPlanRequest& request) {
  const profiler::KeptProfiles& profiles = request.profiles;
  std::vector<std::string> search{"search",
                                  "--model",
                                  profiles.model,
                                  "--hardware",
                                  profiles.hardware_file(),
                                  "--profile",
                                  profiles.model_file(),
                                  "--world-size",
                                  std::to_string(profiles.world_size),
                                  "--seq-length",
                                  std::to_string(profiles.job.seq_length),
                                  "--precision",
                                  spec::to_text(profiles.job.precision),
                                  "--global-batch",
                                  std::to_string(profiles.job.global_batch),
                                  "--optimizer",
                                  profiles.job.optimizer->name,
                                  "--output",
                                  request.output};
  const std::vector<std::string> overrides = spec::override_arguments(profiles.overrides);
  search.insert(search.end(), overrides.begin(), overrides.end());
  const std::vector<std::string> communication =
      spec::communication_arguments(profiles.job.communication);
  search.insert(search.end(), communication.begin(), communication.end());
  if (profiles.job.attended_length > 0) {
    search.insert(search.end(),
                  {"--attended-length", std::to_string(profiles.job.attended_length)});
  }
  if (request.memory)
    search.insert(search.end(), {"--memory", std::to_string(request.memory->value)});
  if (!request.calibration.empty())
    search.insert(search.end(), {"--calibration", request.calibration});
  return profiler::run_galvatron(profiles.binary, search);
}

// What one process can do: all but the hardware profile.
int finish_auto_plan(const AutoPlanRequest& request) {
  const int code = request.profiles.have_model();
  return code == 0 ? search_plan(request) : code;
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
  const int code = request.profiles.have_hardware({});
  return code == 0 ? finish_auto_plan(request) : code;
}

SharedPlan make_auto_plan(const AutoPlanRequest& request,
                          const comm::LaunchEnvironment& environment) {
  int code = request.profiles.have_hardware(environment);
  if (code != 0) return {code, {}};
  std::string text;
  if (environment.rank == 0) {
    code = finish_auto_plan(request);
    text = std::to_string(code) + "\n";
    if (code == 0) text += plan::plan_to_text(plan::read_plan(request.output));
  }
  return read_shared(comm::share_text(environment, "plan", text, profiler::kPatience));
}

}  // namespace galvatron::cli
