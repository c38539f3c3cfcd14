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
  std::string optimizer = spec::default_optimizer().name;
  std::int64_t seq_length = 0;
  Bytes memory;
};

int simulate(const SimulateCommand& options) {
  const spec::ModelSpec model = spec::load_model(options.model);
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
    plan.search = cost::plan_cost_to_json(cost);
    plan::write_plan(options.output, plan);
    std::printf("  plan with its prediction written to %s\n", options.output.c_str());
  }
  return 0;
}

}  // namespace

void add_simulate_command(CommandLine& line) {
  const auto options = std::make_shared<SimulateCommand>();
  CLI::App& command = line.add("simulate", "Predict time, memory and timeline of a plan",
                               kSimulateExamples, [options] { return simulate(*options); });
  add_text(command, "--model", options->model, "Preset name, config.json or folder")
      ->required()
      ->group("Input");
  add_path(command, "--plan", options->plan, "Plan to predict")->required()->group("Input");
  add_path(command, "--hardware", options->hardware, "Profile of profile-hardware")
      ->required()
      ->group("Input");
  add_path(command, "--profile", options->profile, "Profile of profile-model")
      ->required()
      ->group("Input");
  add_count(command, "--seq-length", options->seq_length, 0,
            "Tokens of a sample; 0: those of the model's profile")
      ->group("Input");
  add_choice(command, "--optimizer", options->optimizer, spec::optimizer_names(),
             "Of the training: what it keeps takes memory")
      ->group("Input");
  add_bytes(command, "--memory", options->memory, "Budget that the memory bars are drawn against")
      ->group("Input");
  add_path(command, "--trace", options->trace, "Chrome trace of one step")->group("Output");
  add_path(command, "--output", options->output,
           "The plan with the prediction in its search section")
      ->group("Output");
}

}  // namespace galvatron::cli
