// galvatron search: the best plan for a model on a cluster.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/cli/results.h"
#include "galvatron/cli/search_command.h"
#include "galvatron/galvatron2/plan.h"
#include "galvatron/planning/answer.h"
#include "galvatron/views/search_answer.h"

namespace galvatron::cli {
namespace {

constexpr const char* kSearchExamples =
    "Examples:\n"
    "  galvatron search --model llama2-7b --hardware hardware.json --profile llama2-7b.json "
    "--memory 36GiB --global-batch 64 --output plan.json\n"
    "  galvatron search --model llama2-70b --cluster 64xH100 --global-batch 512 "
    "--allow 'tp_degree<=8' --explain\n"
    "  galvatron search --model llama2-7b --num-layers 48 --cluster 8xA100 --global-batch 64\n"
    "  galvatron search --model llama2-7b --cluster 8xA100-40G --global-batch 64 --frontier "
    "--html frontier.html\n"
    "  galvatron search --galvatron2-profiles DIR --cost-model galvatron2 --world-size 8 --memory "
    "36GiB --global-batch 64 --num-layers 32 --hidden-size 4096 --seq-length 2048 --plan-format "
    "galvatron2 --output plan.json\n"
    "Exit codes: 0 a plan was found, 2 something you gave is impossible, 3 nothing fits or was "
    "found in time, 70 our own bug.";

OrderedJson record_inputs(const planning::MachineFiles& machine) {
  OrderedJson out;
  if (!machine.hardware.empty()) out["hardware"] = file_checksum(machine.hardware);
  if (!machine.profile.empty()) out["profile"] = file_checksum(machine.profile);
  if (!machine.cluster.empty()) out["cluster"] = machine.cluster;
  if (!machine.calibration.empty()) out["calibration"] = file_checksum(machine.calibration);
  return out;
}

// A line of its own for searches that take longer than people like to wait without a word.
class SearchLine {
 public:
  bool operator()(const search::SearchProgress& progress) {
    if (!bar_) {
      bar_.emplace("search", progress.candidates, stderr, kPatience);
      bar_->without_estimate();
    }
    bar_->update(progress.decided, to_text(progress));
    return true;
  }

 private:
  std::optional<ProgressBar> bar_;
};

// What a table of budgets has no place for.
void check_frontier(const SearchCommand& command, bool theirs) {
  if (!command.frontier) {
    const auto wanted = command.files.wanted();
    if (wanted.empty()) return;
    throw ConfigError("[search] ", wanted.front().first,
                      " writes the table of --frontier; a plan goes to --output");
  }
  if (theirs) throw ConfigError("[search] --frontier belongs to our own cost model");
  if (!command.output.empty() || command.explain) {
    throw ConfigError("[search] ", command.explain ? "--explain" : "--output",
                      " belongs to one plan: with --frontier, search again with the --memory of "
                      "the row that you want");
  }
  require_writable(command.files);
}

std::int64_t batch_of(const planning::Frontier& frontier) {
  return frontier.steps.empty() ? frontier.closest_miss->global_batch
                                : frontier.steps.back().result.best->plan.global_batch;
}

int show_frontier(const planning::PreparedSearch& prepared, const SearchCommand& command) {
  ProgressBar progress("frontier", command.frontier_request.num_budgets, stderr, kPatience);
  const planning::Question& question = prepared.question;
  const planning::Frontier frontier = planning::find_frontier(
      prepared, command.frontier_request, [&](int searches) { progress.update(searches); });
  progress.finish();
  std::printf("%s\n", to_text(question, batch_of(frontier), profiles::current_time()).c_str());
  if (frontier.steps.empty()) {
    std::printf("%s", frontier_notes(frontier).c_str());
    return kExitNothingFits;
  }
  show_results({frontier_table(frontier, question), frontier_notes(frontier),
                frontier_to_json(frontier, question), frontier_chart(frontier, question)},
               command.files);
  return 0;
}

void write_plan(const SearchCommand& command, const views::SearchAnswer& answer) {
  if (command.plan_format == "galvatron2") {
    galvatron2::write_plan(command.output, galvatron2::from_our_plan(answer.result.best->plan));
  } else {
    plan::Plan plan = answer.best_plan();
    plan.search["inputs"] = record_inputs(command.machine);
    plan::write_plan(command.output, plan);
  }
  std::printf("  written to %s\n", command.output.c_str());
}

int search_ours(const SearchCommand& command) {
  require_option(!command.model.empty(), "--model", "say what is to be trained");
  if (!command.output.empty()) require_writable(command.output, "--output");
  planning::SearchRequest request = command.request;
  if (!command.explain && command.output.empty()) request.num_runners_up = 0;
  // A format without a word for some schedules.
  if (command.plan_format == "galvatron2") {
    refuse_foreign_schedule(request.schedule, "--plan-format galvatron2");
    for (const std::string& name : plan::searched_schedule_names()) {
      if (galvatron2::has_schedule(plan::parse_schedule(name))) continue;
      request.forbid.push_back("schedule=" + name);
    }
  }
  const planning::PreparedSearch prepared =
      planning::prepare_search(request, spec::load_model(command.model, command.overrides),
                               planning::read_machine(command.machine));
  if (command.frontier) return show_frontier(prepared, command);
  const auto watch = [line = std::make_shared<SearchLine>()](const search::SearchProgress& now) {
    return (*line)(now);
  };
  const views::SearchAnswer answer = views::answer_search(prepared, command.explain, watch);
  std::printf("%s\n%s", answer.question_text().c_str(), answer.text().c_str());
  if (!answer.result.best) return kExitNothingFits;
  if (!command.output.empty()) write_plan(command, answer);
  return 0;
}

int run_search(const SearchCommand& command) {
  const bool theirs = command.cost_model.empty() ? !command.galvatron2_profiles.empty()
                                                 : command.cost_model == "galvatron2";
  if (!theirs && !command.galvatron2_profiles.empty()) {
    throw ConfigError("[search] --galvatron2-profiles feed --cost-model galvatron2 only");
  }
  check_frontier(command, theirs);
  return theirs ? search_galvatron2(command) : search_ours(command);
}

OptionList options_of(SearchCommand& command) {
  OptionList list;
  list.group("Input");
  list.text("model", command.model,
            "Preset name, config.json or folder; with --galvatron2-profiles the name in its files");
  list.append(spec::model_override_options(command.overrides));
  list.append(planning::machine_options(command.machine));
  list.append(planning::search_options(command.request));
  list.group("Output");
  list.path("output", command.output, "Plan file to write");
  list.choice("plan-format", command.plan_format, {"galvatron", "galvatron2"},
              "Of the plan file; default: that of the cost model");
  list.flag("explain", command.explain,
            "Why this plan: what binds, what more would give, runner-ups, certificate");
  list.flag("frontier", command.frontier, "Step time over the memory of a device, as a table");
  list.append(planning::frontier_options(command.frontier_request));
  list.append(planning::result_file_options(command.files));
  add_galvatron2_options(list, command);
  return list;
}

}  // namespace

void add_search_command(CommandLine& line) {
  const auto command = std::make_shared<SearchCommand>();
  CLI::App& app = line.add("search", kSearchExamples, [command] { return run_search(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
