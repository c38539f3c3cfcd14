// galvatron simulate: time, memory and timeline of a plan that somebody wrote, without running it.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/comparison.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::cli {
namespace {

constexpr const char* kSimulateExamples =
    "Examples:\n"
    "  galvatron simulate plan.json --cluster 8xA100\n"
    "  galvatron simulate plan.json --hardware hardware.json --profile gpt2.json --memory 16GiB\n"
    "  galvatron simulate plan.json --against other.json --cluster 8xA100\n"
    "  galvatron simulate ... --trace timeline.json          open it in Perfetto or "
    "chrome://tracing\n"
    "  galvatron simulate ... --output predicted-plan.json   train shows the prediction beside its "
    "measurement";

struct SimulateCommand {
  std::string plan, against, trace, output;
  galvatron2::PlanFacts facts;
  planning::MachineFiles machine;
  planning::PlanQuestionRequest request;
};

std::string question_text(const planning::PricedPlan& priced) {
  return to_text(priced.question, priced.plan.global_batch, profiles::current_time());
}

int compare(const SimulateCommand& command, const planning::PricedPlan& one,
            const planning::MachineKnowledge& knowledge) {
  const spec::ModelSpec& model = one.question.model;
  const planning::PricedPlan other =
      planning::price_plan(same_training(command.request, one),
                           galvatron2::read_any_plan(command.against, model, command.facts), model,
                           knowledge, command.against);
  std::printf("%s\n", planning::compare_plans(one, other).c_str());
  return 0;
}

int simulate(const SimulateCommand& command) {
  if (!command.against.empty() && !(command.trace.empty() && command.output.empty())) {
    throw ConfigError("--against compares two plans; --trace and --output are of one");
  }
  if (!command.trace.empty()) require_writable(command.trace, "--trace");
  if (!command.output.empty()) require_writable(command.output, "--output");
  const spec::ModelSpec model = galvatron2::model_of_plan(command.plan, command.facts);
  const planning::MachineKnowledge knowledge = planning::read_machine(command.machine);
  const planning::PricedPlan priced = planning::price_plan(
      command.request, galvatron2::read_any_plan(command.plan, model, command.facts), model,
      knowledge, command.plan);
  std::printf("%s\n", question_text(priced).c_str());
  if (!command.against.empty()) return compare(command, priced, knowledge);
  std::printf("%s\n", planning::priced_plan_table(priced).c_str());
  if (!priced.fits()) std::printf("  %s\n", planning::why_it_does_not_fit(priced).c_str());
  if (!command.trace.empty()) {
    write_json_file(command.trace, cost::to_chrome_trace(priced.cost.timeline, priced.plan.model));
    std::printf("  timeline written to %s\n", command.trace.c_str());
  }
  if (!command.output.empty()) {
    plan::write_plan(command.output, planning::with_prediction(priced));
    std::printf("  plan with its prediction written to %s\n", command.output.c_str());
  }
  return 0;
}

OptionList options_of(SimulateCommand& command) {
  OptionList list;
  list.group("Input");
  list.path("plan", command.plan, "Plan to predict, ours or Galvatron-2's").required().positional();
  list.path("against", command.against, "Another plan: say how they differ and which one wins");
  list.append(galvatron2::plan_fact_options(command.facts));
  list.append(planning::machine_options(command.machine));
  list.append(planning::plan_question_options(command.request));
  list.group("Output");
  list.path("trace", command.trace, "Chrome trace of one step");
  list.path("output", command.output, "The plan with the prediction in its search section");
  return list;
}

}  // namespace

void add_simulate_command(CommandLine& line) {
  const auto command = std::make_shared<SimulateCommand>();
  CLI::App& app = line.add("simulate", kSimulateExamples, [command] { return simulate(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
