// galvatron search: the best plan for a model on a cluster.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/galvatron2/report.h"
#include "galvatron/search/report.h"
#include "galvatron/search/search_request.h"

namespace galvatron::cli {
namespace {

constexpr const char* kSearchExamples =
    "Examples:\n"
    "  galvatron search --model llama2-7b --hardware hardware.json --profile llama2-7b.json "
    "--memory 36GiB --global-batch 64 --output plan.json\n"
    "  galvatron search --model llama2-70b --cluster 64xH100 --global-batch 512 "
    "--allow 'tp_degree<=8' --explain\n"
    "  galvatron search --galvatron2-profiles DIR --cost-model galvatron2 --world-size 8 --memory "
    "36GiB --global-batch 64 --num-layers 32 --hidden-size 4096 --seq-length 2048 --plan-format "
    "galvatron2 --output plan.json\n"
    "Exit codes: 0 a plan was found, 2 something you gave is impossible, 3 nothing fits, 70 our "
    "own bug.";

struct SearchCommand {
  search::SearchRequest request;
  std::string model, hardware, profile, cluster;
  bool explain = false;
  std::string output, plan_format;
  std::string cost_model;

  std::string galvatron2_profiles;
  int num_layers = 0, num_nodes = 0;
  std::int64_t hidden_size = 0;
  std::string default_dp_type = "zero2", time_mode = "batch", memory_mode = "static";
  bool no_async_grad_reduce = false, no_sequence_parallel = false, no_memory_buffer = false;
};

void require(bool given, const char* option, const char* why) {
  if (!given) throw ConfigError("[search] ", option, " is missing: ", why);
}

galvatron2::ProfileQuery galvatron2_query(const SearchCommand& command) {
  galvatron2::ProfileQuery query;
  query.directory = command.galvatron2_profiles;
  query.model = command.model;
  query.precision = spec::parse_precision(command.request.precision);
  query.world_size = command.request.world_size;
  query.num_nodes = command.num_nodes;
  query.seq_length = command.request.seq_length;
  query.sequence_parallel = !command.no_sequence_parallel;
  query.time_mode = galvatron2::parse_time_mode(command.time_mode);
  query.memory_mode = galvatron2::parse_memory_mode(command.memory_mode);
  query.max_degree =
      std::max(command.request.max_tp.value_or(8), command.request.max_ulysses.value_or(8));
  return query;
}

void refuse_foreign_schedule(const std::string& schedule, const char* what) {
  if (schedule.empty() || galvatron2::has_schedule(plan::parse_schedule(schedule))) return;
  throw ConfigError("[search] ", what, " has no schedule ", schedule, "; use 1f1b or gpipe");
}

galvatron2::SearchOptions galvatron2_options(const SearchCommand& command) {
  galvatron2::SearchOptions options;
  options.job.world_size = command.request.world_size;
  options.job.num_layers = command.num_layers;
  options.job.hidden_size = command.hidden_size;
  options.job.seq_length = command.request.seq_length;
  options.job.precision = spec::parse_precision(command.request.precision);
  refuse_foreign_schedule(command.request.schedule, "the cost model galvatron2");
  if (!command.request.schedule.empty())
    options.job.schedule = plan::parse_schedule(command.request.schedule);
  options.job.default_zero_stage = command.default_dp_type == "ddp" ? 0 : 2;
  options.job.async_grad_reduce = !command.no_async_grad_reduce;
  options.job.sequence_parallel = !command.no_sequence_parallel;
  options.job.global_memory_buffer = !command.no_memory_buffer;
  options.memory = *command.request.memory;
  options.global_batches = search::parse_batches(command.request.global_batch);
  options.num_microbatches = command.request.num_microbatches.value_or(0);
  options.max_tp = command.request.max_tp.value_or(8);
  options.max_pp = command.request.max_pp.value_or(8);
  options.max_ulysses = command.request.max_ulysses.value_or(8);
  options.num_runners_up = command.explain ? command.request.num_runners_up : 0;
  return options;
}

// Prints the plan, or what is nearest to one; `write_plan` puts it into --output.
template <typename Result, typename WritePlan>
int report(const SearchCommand& command, const Result& result, Bytes memory, WritePlan write_plan) {
  if (!result.best) {
    std::printf("%s\n", to_text(*result.closest_miss, memory).c_str());
    return kExitNothingFits;
  }
  std::printf("%s", to_text(*result.best, memory).c_str());
  if (command.explain) std::printf("%s", explain(result).c_str());
  if (command.output.empty()) return 0;
  write_plan();
  std::printf("  written to %s\n", command.output.c_str());
  return 0;
}

int search_galvatron2(const SearchCommand& command) {
  const char* why = "Galvatron-2's profiles do not say it";
  require(!command.galvatron2_profiles.empty(), "--galvatron2-profiles",
          "the cost model galvatron2 reads no others");
  require(command.request.world_size > 0, "--world-size", why);
  require(command.num_layers > 0, "--num-layers", why);
  require(command.hidden_size > 0, "--hidden-size", why);
  require(command.request.seq_length > 0, "--seq-length", why);
  require(command.request.memory.has_value(), "--memory", why);
  require(!command.request.global_batch.empty(), "--global-batch", why);
  if (!command.request.allow.empty() || !command.request.forbid.empty()) {
    throw ConfigError(
        "[search] --allow and --forbid belong to our own cost model; with galvatron2 "
        "use --max-tp, --max-pp, --max-ulysses and --num-microbatches");
  }
  if (command.request.optimizer != spec::default_optimizer().name) {
    throw ConfigError("[search] --optimizer ", command.request.optimizer,
                      " belongs to our own cost model; galvatron2 knows the states of ",
                      spec::default_optimizer().name, " alone");
  }
  if (!command.output.empty()) require_writable(command.output, "--output");
  const galvatron2::SearchOptions options = galvatron2_options(command);
  const auto profiles = galvatron2::read_profiles(galvatron2_query(command));
  const auto result = galvatron2::search_best_plan(options, profiles);
  return report(command, result, options.memory, [&] {
    if (command.plan_format == "galvatron2" || command.plan_format.empty()) {
      galvatron2::write_plan(command.output, result.best->plan);
    } else {
      plan::write_plan(command.output, galvatron2::to_our_plan(result.best->plan, profiles.model,
                                                               options.job.precision));
    }
  });
}

search::MachineKnowledge read_knowledge(const SearchCommand& command) {
  search::MachineKnowledge out;
  if (!command.cluster.empty()) out.cluster = profiles::load_cluster(command.cluster);
  if (!command.profile.empty()) out.profile = profiles::read_model_profile(command.profile);
  if (!command.hardware.empty()) out.hardware = profiles::read_hardware_profile(command.hardware);
  return out;
}

OrderedJson record_inputs(const SearchCommand& command) {
  OrderedJson out;
  if (!command.hardware.empty()) out["hardware"] = file_checksum(command.hardware);
  if (!command.profile.empty()) out["profile"] = file_checksum(command.profile);
  if (!command.cluster.empty()) out["cluster"] = command.cluster;
  return out;
}

int search_ours(const SearchCommand& command) {
  require(!command.model.empty(), "--model", "say what is to be trained");
  if (!command.output.empty()) require_writable(command.output, "--output");
  search::SearchRequest request = command.request;
  if (!command.explain && command.output.empty()) request.num_runners_up = 0;
  // A format without a word for some schedules.
  if (command.plan_format == "galvatron2") {
    refuse_foreign_schedule(request.schedule, "--plan-format galvatron2");
    for (const std::string& name : plan::searched_schedule_names()) {
      if (galvatron2::has_schedule(plan::parse_schedule(name))) continue;
      request.forbid.push_back("schedule=" + name);
    }
  }
  const search::PreparedSearch prepared =
      search::prepare_search(request, spec::load_model(command.model), read_knowledge(command));
  const search::SearchOptions& options = prepared.options;
  const search::SearchResult result = search::search_best_plan(prepared.inputs(), options);
  return report(command, result, options.memory, [&] {
    if (command.plan_format == "galvatron2") {
      galvatron2::write_plan(command.output, galvatron2::from_our_plan(result.best->plan));
      return;
    }
    plan::Plan plan = result.best->plan;
    plan.search = search_to_json(result, options.memory);
    plan.search["inputs"] = record_inputs(command);
    plan::write_plan(command.output, plan);
  });
}

int run_search(const SearchCommand& command) {
  const bool theirs = command.cost_model.empty() ? !command.galvatron2_profiles.empty()
                                                 : command.cost_model == "galvatron2";
  if (!theirs && !command.galvatron2_profiles.empty()) {
    throw ConfigError("[search] --galvatron2-profiles feed --cost-model galvatron2 only");
  }
  return theirs ? search_galvatron2(command) : search_ours(command);
}

void add_input_options(CLI::App& app, SearchCommand& command) {
  const char* group = "Input";
  add_text(app, "--model", command.model,
           "Preset name, config.json or folder; with --galvatron2-profiles the name in its files")
      ->group(group);
  add_path(app, "--hardware", command.hardware, "Profile written by profile-hardware")
      ->group(group);
  add_path(app, "--profile", command.profile, "Profile written by profile-model")->group(group);
  add_text(app, "--cluster", command.cluster,
           "Named cluster (configs/clusters) or its file: data sheet instead of profiles")
      ->group(group);
  add_count(app, "--world-size", command.request.world_size, 0,
            "Ranks; 0: all of the profile or cluster")
      ->group(group);
  add_bytes(app, "--memory", command.request.memory, "Memory of one device; default: all it has")
      ->group(group);
  add_bytes(app, "--memory-reserve", command.request.memory_reserve,
            "Kept for context and allocator, within --memory; default: as measured")
      ->group(group);
  add_text(app, "--global-batch", command.request.global_batch,
           "Samples per step: 64, or a choice: 32,64 or 16:128:16; default 8")
      ->group(group);
  add_count(app, "--seq-length", command.request.seq_length, 0,
            "Tokens of a sample; 0: the profile's, else at most 1024")
      ->group(group);
  add_choice(app, "--precision", command.request.precision, spec::precision_names(),
             "Compute precision")
      ->group(group);
  add_choice(app, "--optimizer", command.request.optimizer, spec::optimizer_names(),
             "Of the training: what it keeps takes memory")
      ->group(group);
}

void add_space_options(CLI::App& app, SearchCommand& command) {
  const char* group = "Space";
  app.add_option("--allow", command.request.allow,
                 "Only these: tp_degree=1,2 or 'tp_degree<=2'; also pp_degree, ulysses_degree, "
                 "tp_consecutive, zero_stage, recompute, schedule, num_microbatches")
      ->type_name("CONSTRAINT")
      ->group(group);
  app.add_option("--forbid", command.request.forbid, "Never these: recompute=full, zero_stage=0,1")
      ->type_name("CONSTRAINT")
      ->group(group);
  add_choice(app, "--schedule", command.request.schedule, plan::searched_schedule_names(),
             "Fix the schedule")
      ->group(group);
  add_count(app, "--num-microbatches", command.request.num_microbatches, 1, "Fix the microbatches")
      ->group(group);
  add_count(app, "--max-tp", command.request.max_tp, 1, "Largest TP degree")->group(group);
  add_count(app, "--max-pp", command.request.max_pp, 1, "Most pipeline ranks")->group(group);
  add_count(app, "--max-ulysses", command.request.max_ulysses, 1, "Largest Ulysses degree")
      ->group(group);
  add_flag(app, "--even-stages", command.request.even_stages, "Balanced stages only")->group(group);
}

void add_output_options(CLI::App& app, SearchCommand& command) {
  const char* group = "Output";
  add_path(app, "--output", command.output, "Plan file to write")->group(group);
  add_choice(app, "--plan-format", command.plan_format, {"galvatron", "galvatron2"},
             "Of the plan file; default: that of the cost model")
      ->group(group);
  add_flag(app, "--explain", command.explain, "Print the certificate and the runner-up plans")
      ->group(group);
  add_count(app, "--runners-up", command.request.num_runners_up, 0, "How many runner-ups", 1000)
      ->group(group);
}

void add_galvatron2_options(CLI::App& app, SearchCommand& command) {
  const char* group = "Galvatron-2's profiles and cost model";
  add_choice(app, "--cost-model", command.cost_model, {"galvatron", "galvatron2"},
             "Formulas; default: those of the profiles given")
      ->group(group);
  add_path(app, "--galvatron2-profiles", command.galvatron2_profiles,
           "Folder of its profile files under their own names")
      ->group(group);
  add_count(app, "--num-nodes", command.num_nodes, 0, "Which machine profile, where several fit")
      ->group(group);
  add_count(app, "--num-layers", command.num_layers, 0, "Transformer layers")->group(group);
  add_count(app, "--hidden-size", command.hidden_size, 0, "Hidden size")->group(group);
  add_choice(app, "--default-dp-type", command.default_dp_type, {"ddp", "zero2"},
             "Data parallelism of layers without ZeRO-3")
      ->group(group);
  add_choice(app, "--time-profile-mode", command.time_mode, {"static", "batch", "sequence"},
             "How its computation profile was swept")
      ->group(group);
  add_choice(app, "--memory-profile-mode", command.memory_mode, {"static", "sequence"},
             "How its memory profile was swept")
      ->group(group);
  add_flag(app, "--no-async-grad-reduce", command.no_async_grad_reduce,
           "Gradients are reduced every microbatch")
      ->group(group);
  add_flag(app, "--no-sequence-parallel", command.no_sequence_parallel,
           "Its profiles without Megatron sequence parallelism")
      ->group(group);
  add_flag(app, "--no-global-memory-buffer", command.no_memory_buffer,
           "Do not charge the gather buffer")
      ->group(group);
}

}  // namespace

void add_search_command(CommandLine& line) {
  const auto command = std::make_shared<SearchCommand>();
  CLI::App& app = line.add("search", "Find the best plan for a model on a cluster", kSearchExamples,
                           [command] { return run_search(*command); });
  add_input_options(app, *command);
  add_space_options(app, *command);
  add_output_options(app, *command);
  add_galvatron2_options(app, *command);
}

}  // namespace galvatron::cli
