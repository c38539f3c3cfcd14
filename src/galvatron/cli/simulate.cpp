// galvatron simulate: time, memory and timeline of a plan that somebody wrote, without running it.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/cost/plan_cost.h"
#include "galvatron/plan/check_plan.h"

namespace galvatron::cli {
namespace {

constexpr const char* kSimulateExamples =
    "Examples:\n"
    "  galvatron simulate --model gpt2 --plan plan.json --hardware hardware.json --profile "
    "gpt2.json\n"
    "  galvatron simulate ... --trace timeline.json          open it in Perfetto or "
    "chrome://tracing\n"
    "  galvatron simulate ... --output predicted-plan.json   train shows the prediction beside its "
    "measurement";

struct SimulateCommand {
  std::string model, plan, hardware, profile, trace, output;
  spec::ModelOverrides overrides;
  std::string optimizer = spec::default_optimizer().name;
  std::int64_t seq_length = 0;
  Bytes memory;
};

int simulate(const SimulateCommand& options) {
  const spec::ModelSpec model = spec::load_model(options.model, options.overrides);
  plan::Plan plan = plan::read_plan(options.plan);
  const profiles::HardwareProfile hardware = profiles::read_hardware_profile(options.hardware);
  profiles::ModelProfile profile = profiles::read_model_profile(options.profile);
  const std::int64_t seq_length = options.seq_length > 0 ? options.seq_length : profile.seq_length;
  plan::require_valid_plan(plan, model, {0, seq_length});
  if (!options.trace.empty()) require_writable(options.trace, "--trace");
  if (!options.output.empty()) require_writable(options.output, "--output");
  profile.prepare(model, seq_length, plan.precision);
  const spec::JobSpec job{seq_length, plan.global_batch, plan.precision,
                          &spec::find_optimizer(options.optimizer)};
  const cost::PlanCost cost = cost::estimate({model, job, hardware, profile}, plan);
  std::printf("%s\n", cost::plan_cost_table(cost, plan, options.memory).c_str());
  if (!options.trace.empty()) {
    write_json_file(options.trace, cost::to_chrome_trace(cost.timeline, plan.model));
    std::printf("  timeline written to %s\n", options.trace.c_str());
  }
  if (!options.output.empty()) {
    plan.search = cost::prediction_to_json(cost, options.memory);
    plan::write_plan(options.output, plan);
    std::printf("  plan with its prediction written to %s\n", options.output.c_str());
  }
  return 0;
}

OptionList options_of(SimulateCommand& command) {
  OptionList list;
  list.group("Input");
  list.text("model", command.model, "Preset name, config.json or folder").required();
  list.path("plan", command.plan, "Plan to predict").required();
  list.path("hardware", command.hardware, "Profile of profile-hardware").required();
  list.path("profile", command.profile, "Profile of profile-model").required();
  list.count("seq-length", command.seq_length, {.min = 0},
             "Tokens of a sample; 0: those of the model's profile");
  list.choice("optimizer", command.optimizer, spec::optimizer_names(),
              "Of the training: what it keeps takes memory");
  list.bytes("memory", command.memory, "Budget that the memory bars are drawn against");
  list.append(spec::model_override_options(command.overrides));
  list.group("Output");
  list.path("trace", command.trace, "Chrome trace of one step");
  list.path("output", command.output, "The plan with the prediction in its search section");
  return list;
}

}  // namespace

void add_simulate_command(CommandLine& line) {
  const auto options = std::make_shared<SimulateCommand>();
  CLI::App& command =
      line.add("simulate", kSimulateExamples, [options] { return simulate(*options); });
  add_options(command, options_of(*options));
}

}  // namespace galvatron::cli
