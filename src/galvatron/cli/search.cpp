// galvatron search: the best plan for a model on a cluster.
#include <cstdio>
#include <functional>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/cli/results.h"
#include "galvatron/galvatron2/report.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/baselines.h"
#include "galvatron/planning/explain.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/planning/search_request.h"
#include "galvatron/search/report.h"

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

struct SearchCommand {
  planning::SearchRequest request;
  planning::MachineFiles machine;
  std::string model;
  spec::ModelOverrides overrides;
  bool explain = false;
  std::string output, plan_format;
  bool frontier = false;
  planning::FrontierRequest frontier_request;
  planning::ResultFiles files;
  std::string cost_model;

  std::string galvatron2_profiles;
  int num_nodes = 0;
  std::string default_dp_type = "zero2", time_mode = "batch", memory_mode = "static";
  bool no_async_grad_reduce = false, no_sequence_parallel = false, no_memory_buffer = false;
};

// Their profiles are of GPUs.
constexpr spec::Precision kTheirPrecision = spec::Precision::kBf16;

void require(bool given, const char* option, const char* why) {
  if (!given) throw ConfigError("[search] ", option, " is missing: ", why);
}

galvatron2::ProfileQuery galvatron2_query(const SearchCommand& command) {
  galvatron2::ProfileQuery query;
  query.directory = command.galvatron2_profiles;
  query.model = command.model;
  query.precision = command.request.question.precision.value_or(kTheirPrecision);
  query.world_size = command.request.question.world_size;
  query.num_nodes = command.num_nodes;
  query.seq_length = command.request.question.seq_length;
  query.sequence_parallel = !command.no_sequence_parallel;
  query.time_mode = galvatron2::parse_time_mode(command.time_mode);
  query.memory_mode = galvatron2::parse_memory_mode(command.memory_mode);
  query.max_degree =
      std::max(command.request.max_tp.value_or(8), command.request.max_ulysses.value_or(8));
  return query;
}

void refuse_foreign_schedule(std::optional<plan::ScheduleKind> schedule, const char* what) {
  if (!schedule || galvatron2::has_schedule(*schedule)) return;
  throw ConfigError("[search] ", what, " has no schedule ", plan::to_text(*schedule),
                    "; use 1f1b or gpipe");
}

galvatron2::SearchOptions galvatron2_options(const SearchCommand& command) {
  galvatron2::SearchOptions options;
  options.job.world_size = command.request.question.world_size;
  options.job.num_layers = static_cast<int>(command.overrides.num_layers.value_or(0));
  options.job.hidden_size = command.overrides.hidden_size.value_or(0);
  options.job.seq_length = command.request.question.seq_length;
  options.job.precision = command.request.question.precision.value_or(kTheirPrecision);
  refuse_foreign_schedule(command.request.schedule, "the cost model galvatron2");
  options.job.schedule = command.request.schedule.value_or(options.job.schedule);
  options.job.default_zero_stage = command.default_dp_type == "ddp" ? 0 : 2;
  options.job.async_grad_reduce = !command.no_async_grad_reduce;
  options.job.sequence_parallel = !command.no_sequence_parallel;
  options.job.global_memory_buffer = !command.no_memory_buffer;
  options.memory = *command.request.question.memory;
  options.global_batches = planning::parse_batches(command.request.global_batch);
  options.num_microbatches = command.request.num_microbatches.value_or(0);
  options.max_tp = command.request.max_tp.value_or(8);
  options.max_pp = command.request.max_pp.value_or(8);
  options.max_ulysses = command.request.max_ulysses.value_or(8);
  options.num_runners_up = command.explain ? command.request.num_runners_up : 0;
  return options;
}

// Prints the plan and what `more` says of it, or why there is `none`; `write_plan` puts it into
// --output.
template <typename Result, typename None, typename More, typename WritePlan>
int report(const SearchCommand& command, const Result& result, Bytes memory, None none, More more,
           WritePlan write_plan) {
  if (!result.best) {
    std::printf("%s\n", none().c_str());
    return kExitNothingFits;
  }
  std::printf("%s%s", to_text(*result.best, memory).c_str(), more().c_str());
  if (command.output.empty()) return 0;
  write_plan();
  std::printf("  written to %s\n", command.output.c_str());
  return 0;
}

int search_galvatron2(const SearchCommand& command) {
  const char* why = "Galvatron-2's profiles do not say it";
  require(!command.galvatron2_profiles.empty(), "--galvatron2-profiles",
          "the cost model galvatron2 reads no others");
  require(command.request.question.world_size > 0, "--world-size", why);
  require(command.overrides.num_layers.has_value(), "--num-layers", why);
  require(command.overrides.hidden_size.has_value(), "--hidden-size", why);
  require(command.request.question.seq_length > 0, "--seq-length", why);
  require(command.request.question.memory.has_value(), "--memory", why);
  require(!command.request.global_batch.empty(), "--global-batch", why);
  if (!command.request.allow.empty() || !command.request.forbid.empty()) {
    throw ConfigError(
        "[search] --allow and --forbid belong to our own cost model; with galvatron2 "
        "use --max-tp, --max-pp, --max-ulysses and --num-microbatches");
  }
  const std::string stray = spec::given_override(command.overrides, {"num-layers", "hidden-size"});
  if (!stray.empty()) {
    throw ConfigError("[search] --", stray,
                      " belongs to our own cost model; galvatron2 asks for --num-layers and "
                      "--hidden-size alone");
  }
  if (command.request.question.optimizer != spec::default_optimizer().name) {
    throw ConfigError("[search] --optimizer ", command.request.question.optimizer,
                      " belongs to our own cost model; galvatron2 knows the states of ",
                      spec::default_optimizer().name, " alone");
  }
  if (!command.output.empty()) require_writable(command.output, "--output");
  const galvatron2::SearchOptions options = galvatron2_options(command);
  const auto profiles = galvatron2::read_profiles(galvatron2_query(command));
  const auto result = galvatron2::search_best_plan(options, profiles);
  const auto none = [&] { return to_text(*result.closest_miss, options.memory); };
  const auto more = [&] { return command.explain ? explain(result) : std::string(); };
  return report(command, result, options.memory, none, more, [&] {
    if (command.plan_format == "galvatron2" || command.plan_format.empty()) {
      galvatron2::write_plan(command.output, result.best->plan);
    } else {
      plan::write_plan(command.output, galvatron2::to_our_plan(result.best->plan, profiles.model,
                                                               options.job.precision));
    }
  });
}

OrderedJson record_inputs(const planning::MachineFiles& machine) {
  OrderedJson out;
  if (!machine.hardware.empty()) out["hardware"] = file_checksum(machine.hardware);
  if (!machine.profile.empty()) out["profile"] = file_checksum(machine.profile);
  if (!machine.cluster.empty()) out["cluster"] = machine.cluster;
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

search::SearchResult run_with_line(const planning::PreparedSearch& prepared) {
  SearchLine line;
  return prepared.run(std::ref(line));
}

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

int search_ours(const SearchCommand& command) {
  require(!command.model.empty(), "--model", "say what is to be trained");
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
  const planning::Question& question = prepared.question;
  if (command.frontier) return show_frontier(prepared, command);
  const search::SearchResult result = run_with_line(prepared);
  std::int64_t batch = prepared.options.global_batches.front();
  if (result.best) batch = result.best->plan.global_batch;
  if (result.closest_miss) batch = result.closest_miss->global_batch;
  std::printf("%s\n", to_text(question, batch, profiles::current_time()).c_str());
  std::vector<planning::Baseline> baselines;
  if (result.best) baselines = planning::find_baselines(question.inputs(batch), question.memory);
  const auto more = [&] {
    const auto throughput = planning::throughput(question, result.best->plan, result.best->cost);
    const std::string text = to_text(throughput, question) +
                             extrapolated_text(question, result.best->plan) + "\n" +
                             to_text(baselines, *result.best);
    if (!command.explain) return text;
    return text + to_text(planning::explain(prepared, result), result, question.memory);
  };
  const auto none = [&] { return no_plan_text(result, question.memory); };
  return report(command, result, question.memory, none, more, [&] {
    if (command.plan_format == "galvatron2") {
      galvatron2::write_plan(command.output, galvatron2::from_our_plan(result.best->plan));
      return;
    }
    plan::Plan plan = result.best->plan;
    plan.search = planning::search_to_json(question, result);
    plan.search["baselines"] = planning::baselines_to_json(baselines, *result.best);
    plan.search["inputs"] = record_inputs(command.machine);
    plan::record_question(plan, prepared.question.inputs(plan.global_batch).job);
    plan::write_plan(command.output, plan);
  });
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

void add_galvatron2_options(OptionList& list, SearchCommand& command) {
  list.group("Galvatron-2's profiles and cost model");
  list.choice("cost-model", command.cost_model, {"galvatron", "galvatron2"},
              "Formulas; default: those of the profiles given");
  list.path("galvatron2-profiles", command.galvatron2_profiles,
            "Folder of its profile files under their own names");
  list.count("num-nodes", command.num_nodes, {.min = 0},
             "Which machine profile, where several fit");
  list.choice("default-dp-type", command.default_dp_type, {"ddp", "zero2"},
              "Data parallelism of layers without ZeRO-3");
  list.choice("time-profile-mode", command.time_mode, {"static", "batch", "sequence"},
              "How its computation profile was swept");
  list.choice("memory-profile-mode", command.memory_mode, {"static", "sequence"},
              "How its memory profile was swept");
  list.flag("no-async-grad-reduce", command.no_async_grad_reduce,
            "Gradients are reduced every microbatch");
  list.flag("no-sequence-parallel", command.no_sequence_parallel,
            "Its profiles without Megatron sequence parallelism");
  list.flag("no-global-memory-buffer", command.no_memory_buffer, "Do not charge the gather buffer");
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
