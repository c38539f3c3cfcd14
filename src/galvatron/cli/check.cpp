// galvatron check: whether a plan can be trained, and what it looks like.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "galvatron/base/terminal.h"
#include "galvatron/cli/commands.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/plan_drawing.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::cli {
namespace {

constexpr const char* kCheckExamples =
    "Examples:\n"
    "  galvatron check plan.json\n"
    "  galvatron check plan.json --model my-model/config.json --seq-length 4096 --cluster 8xA100\n"
    "Exit codes: 0 it can be trained, 2 it cannot, 3 it does not fit into the machine's memory.";

struct CheckCommand {
  std::string plan;
  galvatron2::PlanFacts facts;
  planning::MachineFiles machine;
  planning::PlanQuestionRequest request;

  bool knows_machine() const {
    return !(machine.hardware + machine.profile + machine.cluster).empty();
  }
};

// What a prediction in the file is worth.
std::string prediction_text(const plan::Plan& plan) {
  if (!plan.search.is_object() || !plan.search.contains("prediction")) return "";
  const auto recorded = plan::recorded_question(plan);
  const auto problem = plan::unlike_recorded(plan, recorded.value_or(spec::JobSpec{}));
  if (problem) return "  no prediction: " + *problem + "\n";
  return fmt::format("  its prediction is of {} tokens a sample and optimizer {}\n",
                     recorded->seq_length, recorded->optimizer->name);
}

int check(const CheckCommand& command) {
  const spec::ModelSpec model = galvatron2::model_of_plan(command.plan, command.facts);
  const plan::Plan plan = galvatron2::read_any_plan(command.plan, model, command.facts);
  const auto recorded = plan::recorded_question(plan);
  const std::int64_t wish = command.request.question.seq_length;
  plan::require_valid_plan(plan, model, {0, wish == 0 && recorded ? recorded->seq_length : wish});
  std::printf("%s can be trained: %s on %d ranks, global batch %ld, %s\n%s\n", command.plan.c_str(),
              model.name.c_str(), plan.world_size, static_cast<long>(plan.global_batch),
              spec::to_text(plan.precision).c_str(), prediction_text(plan).c_str());
  const int width = terminal_width().value_or(planning::kDrawingWidth);
  if (!command.knows_machine()) {
    std::printf("%s", planning::draw_plan(plan, model.layer_names(), width).c_str());
    return 0;
  }
  const planning::PricedPlan priced = planning::price_plan(
      command.request, plan, model, planning::read_machine(command.machine), command.plan);
  std::printf(
      "%s\n%s\n%s", to_text(priced.question, plan.global_batch, profiles::current_time()).c_str(),
      planning::draw_plan(plan, model.layer_names(), priced.cost.timeline, "as predicted", width)
          .c_str(),
      planning::priced_plan_table(priced).c_str());
  if (priced.fits()) return 0;
  std::printf("  %s\n", planning::why_it_does_not_fit(priced).c_str());
  return kExitNothingFits;
}

OptionList options_of(CheckCommand& command) {
  OptionList list;
  list.group("Input");
  list.path("plan", command.plan, "Plan to check, ours or Galvatron-2's").required().positional();
  list.append(galvatron2::plan_fact_options(command.facts));
  list.append(planning::machine_options(command.machine));
  list.append(planning::plan_question_options(command.request));
  return list;
}

}  // namespace

void add_check_command(CommandLine& line) {
  const auto command = std::make_shared<CheckCommand>();
  CLI::App& app = line.add("check", kCheckExamples, [command] { return check(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
