// galvatron search --cost-model galvatron2: Galvatron-2's question on its own profiles.
#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/cli/search_command.h"
#include "galvatron/galvatron2/report.h"

namespace galvatron::cli {
namespace {

// Their profiles are of GPUs.
constexpr spec::Precision kTheirPrecision = spec::Precision::kBf16;

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

}  // namespace

void require_option(bool given, const char* option, const char* why) {
  if (!given) throw ConfigError("[search] ", option, " is missing: ", why);
}

void refuse_foreign_schedule(std::optional<plan::ScheduleKind> schedule, const char* what) {
  if (!schedule || galvatron2::has_schedule(*schedule)) return;
  throw ConfigError("[search] ", what, " has no schedule ", plan::to_text(*schedule),
                    "; use 1f1b or gpipe");
}

int search_galvatron2(const SearchCommand& command) {
  const char* why = "Galvatron-2's profiles do not say it";
  require_option(!command.galvatron2_profiles.empty(), "--galvatron2-profiles",
                 "the cost model galvatron2 reads no others");
  require_option(command.request.question.world_size > 0, "--world-size", why);
  require_option(command.overrides.num_layers.has_value(), "--num-layers", why);
  require_option(command.overrides.hidden_size.has_value(), "--hidden-size", why);
  require_option(command.request.question.seq_length > 0, "--seq-length", why);
  require_option(command.request.question.memory.has_value(), "--memory", why);
  planning::require_unit(command.request.question.memory);
  require_option(!command.request.global_batch.empty(), "--global-batch", why);
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
  if (!result.best) {
    std::printf("%s\n", to_text(*result.closest_miss, options.memory).c_str());
    return kExitNothingFits;
  }
  std::printf("%s%s", to_text(*result.best, options.memory).c_str(),
              command.explain ? explain(result).c_str() : "");
  if (command.output.empty()) return 0;
  if (command.plan_format == "galvatron2" || command.plan_format.empty()) {
    galvatron2::write_plan(command.output, result.best->plan);
  } else {
    plan::write_plan(command.output, galvatron2::to_our_plan(result.best->plan, profiles.model,
                                                             options.job.precision));
  }
  std::printf("  written to %s\n", command.output.c_str());
  return 0;
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

}  // namespace galvatron::cli
