// galvatron convert: a plan of Galvatron-2's as one of ours, or the other way.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/galvatron2/plan.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/plan/check_plan.h"

namespace galvatron::cli {
namespace {

constexpr const char* kConvertExamples =
    "Examples:\n"
    "  galvatron convert galvatron_config.json --to galvatron --model llama2-7b --output "
    "plan.json\n"
    "  galvatron convert plan.json --to galvatron2 --output galvatron_config.json";

constexpr const char* kOurs = "galvatron";
constexpr const char* kTheirs = "galvatron2";

struct ConvertCommand {
  std::string plan, to, output;
  galvatron2::PlanFacts facts;
};

int convert(const ConvertCommand& command) {
  const bool theirs = galvatron2::is_galvatron2_plan(read_json_file(command.plan));
  if (theirs == (command.to == kTheirs)) {
    throw ConfigError("[plan] ", command.plan, " is a plan of ", command.to,
                      " already; the other way is --to ", theirs ? kOurs : kTheirs);
  }
  require_writable(command.output, "--output");
  const spec::ModelSpec model = galvatron2::model_of_plan(command.plan, command.facts);
  const plan::Plan plan = galvatron2::read_any_plan(command.plan, model, command.facts);
  plan::require_valid_plan(plan, model);
  if (theirs) {
    plan::write_plan(command.output, plan);
  } else {
    galvatron2::write_plan(command.output, galvatron2::from_our_plan(plan));
  }
  std::printf("%s\n  written to %s\n", plan::summarize(plan, model.layer_names()).c_str(),
              command.output.c_str());
  return 0;
}

OptionList options_of(ConvertCommand& command) {
  OptionList list;
  list.group("Input");
  list.path("plan", command.plan, "Plan to convert, ours or Galvatron-2's").required().positional();
  list.append(galvatron2::plan_fact_options(command.facts));
  list.group("Output");
  list.choice("to", command.to, {kOurs, kTheirs}, "Format to write").required();
  list.path("output", command.output, "Plan file to write").required();
  return list;
}

}  // namespace

void add_convert_command(CommandLine& line) {
  const auto command = std::make_shared<ConvertCommand>();
  CLI::App& app = line.add("convert", kConvertExamples, [command] { return convert(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
