// galvatron train: ranks, a plan, data, and a progress bar.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/train_auto.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/train/train_job.h"

namespace galvatron::cli {
namespace {

constexpr const char* kTrainExamples =
    "Examples:\n"
    "  galvatron train --model gpt2-tiny --data synthetic --steps 20 --nproc 2 --precision fp32\n"
    "  galvatron train --model llama2-7b --plan plan.json --data corpus --steps 1000 --nproc 8 "
    "--run-dir run\n"
    "  galvatron train --model gpt2 --plan auto --memory 4GiB --data corpus --nproc 4 --run-dir "
    "run\n"
    "  galvatron train --init-from llama-folder --data corpus --tp-degree 2 --zero-stage 3 --nproc "
    "8 --export out\n"
    "  torchrun --no-python --nproc-per-node 8 galvatron train --model gpt2 --plan plan.json "
    "--data corpus\n"
    "  srun --ntasks 16 galvatron train --model gpt2 --plan plan.json --data corpus\n"
    "Exit codes: 0 done, 1 a rank or the machine failed, 2 something you gave is impossible, 70 "
    "our own bug.";

constexpr const char* kAutoPlan = "auto";

struct TrainCommand {
  train::TrainJob job;
  std::string precision, device = "auto";
  std::string optimizer = spec::default_optimizer().name;
  std::map<std::string, std::optional<double>> optimizer_values;
  std::string schedule = "1f1b", lr_schedule = "cosine";
  std::int64_t global_batch = 0;
  int nproc = 1;
  int master_port = 0;
  std::optional<Bytes> memory;  // for --plan auto
  std::string cache_dir = default_cache_dir();
  std::vector<CLI::Option*> global_options;  // that a plan replaces
};

void add_model_options(CLI::App& command, TrainCommand& options) {
  train::TrainJob& job = options.job;
  const char* group = "Model and data";
  add_path(command, "--model", job.model, "Preset name, config.json, or a folder that holds one")
      ->group(group);
  add_path(
      command, "--init-from", job.init_from,
      "Hugging Face checkpoint folder whose weights are the first ones; without it they are random")
      ->group(group);
  add_path(command, "--data", job.data,
           "PREFIX of PREFIX.bin and PREFIX.idx, for image models of PREFIX.images.npy and "
           "PREFIX.labels.npy; or 'synthetic'")
      ->default_str("")
      ->required()
      ->group(group);
  add_text(command, "--split", job.split, "Weights of training, validation and test samples")
      ->group(group);
  add_switch(command, "--shuffle", job.shuffle,
             "New order of samples in each epoch; false: the order of the file")
      ->group(group);
  add_text(command, "--mask-token", job.mask_token,
           "Text or id of the token that hides others (BERT); default: the tokenizer's [MASK] or "
           "<mask>")
      ->default_str("")
      ->group(group);
  add_flag(command, "--whole-words", job.whole_words,
           "Hide whole words instead of single tokens (BERT); needs the tokenizer")
      ->group(group);
  add_count(command, "--seq-length", job.seq_length, 1,
            "Tokens per sample; default: what the model allows, at most 1024")
      ->default_str("")
      ->group(group);
  add_seed(command, "--seed", job.seed, "Seed of first weights, dropout and data order")
      ->group(group);
}

void add_image_options(CLI::App& command, data::ImageTransform& images) {
  constexpr double kMax = 1e6;
  const char* group = "Images";
  add_numbers(command, "--image-mean", images.mean, -kMax, kMax,
              "Taken off each pixel, which is in 0 .. 1 in byte images: one number, or one for "
              "each channel")
      ->group(group);
  add_numbers(command, "--image-std", images.std, 0, kMax, "What a pixel is divided by then")
      ->group(group);
  add_count(command, "--crop-padding", images.crop_padding, 0,
            "Train on random parts of images with black borders of so many pixels", 4096)
      ->group(group);
  add_flag(command, "--flip", images.flip, "Train on mirrored images every other time")
      ->group(group);
}

CLI::Option* add_field(CLI::App& command, const std::string& name,
                       const plan::StrategyField<int>& field, int& value) {
  const int most = field.open_ended() ? std::numeric_limits<int>::max() : field.most;
  return add_count(command, name, value, field.least, field.help, most);
}

CLI::Option* add_field(CLI::App& command, const std::string& name,
                       const plan::StrategyField<bool>& field, bool& value) {
  return add_switch(command, name, value, field.help);
}

template <NamedEnum E>
CLI::Option* add_field(CLI::App& command, const std::string& name,
                       const plan::StrategyField<E>& field, E& value) {
  return add_enum(command, name, value, field.help);
}

// "--tp-degree" and its like: one for each field of a strategy.
std::vector<CLI::Option*> add_strategy_options(CLI::App& command, plan::LayerStrategy& strategy) {
  std::vector<CLI::Option*> out;
  plan::for_each_supported_field([&](const auto& field) {
    std::string name = std::string("--") + field.name;
    std::replace(name.begin(), name.end(), '_', '-');
    out.push_back(add_field(command, name, field, strategy.*field.member));
  });
  return out;
}

void add_plan_options(CLI::App& command, TrainCommand& options) {
  train::TrainJob& job = options.job;
  train::UniformPlanOptions& uniform = job.uniform;
  const char* group = "Plan";
  add_count(command, "--global-batch", options.global_batch, 1,
            "Samples per step; default: the plan's, or 8")
      ->default_str("")
      ->group(group);
  add_choice(command, "--precision", options.precision, spec::precision_names(),
             "Of compute; default: the plan's, or bf16. Master weights are fp32 (fp64 for fp64)")
      ->group(group);
  add_path(command, "--plan", job.plan,
           "Plan file, one strategy per layer; 'auto' profiles what is missing and searches one")
      ->group(group);
  add_bytes(command, "--memory", options.memory,
            "Of one rank, for --plan auto; default: all there is")
      ->group(group);
  add_path(command, "--cache-dir", options.cache_dir, "Where --plan auto keeps its profiles")
      ->group(group);
  const char* one = "One strategy for all layers (without --plan)";
  std::vector<CLI::Option*> global = add_strategy_options(command, uniform.strategy);
  const std::vector<CLI::Option*> pipeline{
      add_count(command, "--pp-degree", uniform.pp_degree, 1,
                "Pipeline ranks: parts of the ranks that hold different layers"),
      add_count(command, "--stages-per-rank", uniform.stages_per_rank, 1,
                "Even stages that each pipeline rank runs; default: 2 for interleaved, else 1")
          ->default_str(""),
      add_counts(command, "--layers-per-stage", uniform.layers_per_stage, 1,
                 "Layers of each stage, embedding and head included; default: even. Interleaved: a "
                 "multiple of pp-degree entries, stage s on pipeline rank s % pp-degree"),
      add_count(command, "--num-microbatches", uniform.num_microbatches, 1,
                "Pieces of a batch that run one by one"),
      add_choice(command, "--schedule", options.schedule, plan::schedule_names(),
                 "Order of microbatches in the pipeline. " + plan::schedule_help())};
  global.insert(global.end(), pipeline.begin(), pipeline.end());
  for (CLI::Option* option : global) option->group(one);
  options.global_options = global;
}

// "--adam-eps" of "adam_eps".
std::string option_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

void add_optimizer_options(CLI::App& command, TrainCommand& options) {
  train::TrainerOptions& trainer = options.job.trainer;
  constexpr double kMaxRate = 1e3;
  const char* group = "Optimizer";
  add_count(command, "--steps", trainer.num_steps, 1, "Optimizer steps")->group(group);
  add_number(command, "--lr", trainer.lr.peak, 0, kMaxRate, "Highest learning rate")->group(group);
  add_number(command, "--min-lr", trainer.lr.min, 0, kMaxRate, "Where the schedule ends")
      ->group(group);
  add_choice(command, "--lr-schedule", options.lr_schedule, train::lr_shape_names(),
             "Shape after the warm-up")
      ->group(group);
  add_count(command, "--warmup-steps", trainer.lr.warmup_steps, 0, "Steps of linear warm-up")
      ->group(group);
  add_count(command, "--decay-steps", trainer.lr.decay_steps, 0,
            "Last steps of wsd; 0: a fifth of all")
      ->group(group);
  add_choice(command, "--optimizer", options.optimizer, spec::optimizer_names(),
             "What updates the weights")
      ->group(group);
  for (const spec::OptimizerOption& option : spec::optimizer_options()) {
    add_number(command, option_name(option.name), options.optimizer_values[option.name], option.min,
               option.max, option.help)
        ->default_str(fmt::format("{}", option.standard))
        ->group(group);
  }
  add_number(command, "--max-grad-norm", trainer.max_grad_norm, 0, 1e30,
             "Clip gradients above this norm; 0: never")
      ->group(group);
}

void add_run_options(CLI::App& command, TrainCommand& options) {
  train::TrainJob& job = options.job;
  const char* ranks = "Ranks";
  add_count(
      command, "--nproc", options.nproc, 1,
      "Ranks to start on this machine. Under torchrun, srun or mpirun their ranks are used instead",
      4096)
      ->group(ranks);
  add_count(command, "--master-port", options.master_port, 0,
            "Port of the ranks' store; 0: any free one", 65535)
      ->group(ranks);
  add_choice(command, "--device", options.device, {"auto", "cpu", "cuda"},
             "auto: cuda where there is one")
      ->group(ranks);
  add_flag(command, "--deterministic", job.deterministic,
           "Refuse CUDA kernels whose result depends on timing; CPU runs repeat to the bit anyway")
      ->group(ranks);

  const char* output = "Output";
  add_path(command, "--run-dir", job.run_dir,
           "Folder for metrics.jsonl, plan.json, summary.json and trace.json")
      ->group(output);
  add_path(command, "--metrics", job.metrics, "One JSON line per step; default: in --run-dir")
      ->group(output);
  add_path(command, "--trace", job.trace,
           "Chrome trace of the last step, all ranks; default: in --run-dir")
      ->group(output);
  add_count(command, "--eval-interval", job.trainer.eval_interval, 0,
            "Steps between evaluations on the validation split; 0: none")
      ->group(output);
  add_count(command, "--eval-batches", job.trainer.eval_batches, 1, "Global batches per evaluation")
      ->group(output);
  add_path(command, "--save", job.save_dir,
           "Folder of checkpoints; one is written after the last step")
      ->group(output);
  add_count(command, "--save-interval", job.save_interval, 0,
            "Steps between checkpoints; 0: only the last")
      ->group(output);
  add_path(command, "--resume", job.resume,
           "Checkpoint to go on from, under any plan; of a folder, the newest")
      ->group(output);
  add_path(command, "--export", job.export_dir, "Hugging Face folder of the final weights")
      ->group(output);
  add_path(
      command, "--tokenizer", job.tokenizer,
      "tokenizer.json or folder that goes into --export; default: the data's, or --init-from's")
      ->group(output);
}

void refuse_contradictions(const TrainCommand& options) {
  for (const CLI::Option* option : options.global_options) {
    if (options.job.plan.empty() || option->count() == 0) continue;
    throw ConfigError(option->get_name(),
                      " and --plan exclude each other: the plan has a strategy for every layer");
  }
  const bool is_rank = comm::is_rank_process();  // whose "auto" has become a file
  const comm::LaunchEnvironment environment = comm::read_launch_environment();
  const bool theirs = is_rank && environment.launcher != "galvatron";
  if (theirs && options.nproc > 1 && options.nproc != environment.world_size) {
    throw ConfigError("--nproc ", options.nproc, ", but ", environment.launcher, " started ",
                      environment.world_size, " ranks; leave --nproc away under another launcher");
  }
  if (options.memory && options.job.plan != kAutoPlan && !is_rank) {
    throw ConfigError(
        "--memory is the budget of --plan auto; a plan that is given has no use for it");
  }
}

// The choices that arrive as words.
train::TrainJob job_of(const TrainCommand& options) {
  train::TrainJob job = options.job;
  if (options.global_batch > 0) job.global_batch = options.global_batch;
  if (!options.precision.empty()) job.precision = spec::parse_precision(options.precision);
  job.uniform.schedule = plan::parse_schedule(options.schedule);
  job.trainer.lr.shape = train::parse_lr_shape(options.lr_schedule);
  std::map<std::string, double> given;
  for (const auto& [name, value] : options.optimizer_values) {
    if (value) given[name] = *value;
  }
  job.trainer.optimizer = spec::OptimizerChoice(options.optimizer, given);
  return job;
}

std::string progress_text(const train::StepRecord& record) {
  std::string text = fmt::format("loss {:.4f}  {:.0f} tok/s  {}", record.loss,
                                 record.tokens_per_second(), to_text(record.memory));
  if (record.valid_loss) text += fmt::format("  valid {:.4f}", *record.valid_loss);
  return text;
}

// This process as one rank.
int run_rank(const TrainCommand& options, const comm::LaunchEnvironment& environment) {
  const train::PreparedJob prepared = train::prepare(job_of(options), environment.world_size);
  comm::WorldOptions world_options;
  world_options.device = comm::pick_device(options.device);
  comm::World world = comm::connect(environment, world_options);
  ProgressBar bar("training", world.rank() == 0 ? prepared.job.trainer.num_steps : 0);
  const train::RunSummary summary = train::run(
      prepared, world,
      [&](const train::StepRecord& record) { bar.update(record.step, progress_text(record)); });
  bar.finish();
  if (world.rank() == 0) std::cout << train::summary_table(summary) << std::flush;
  return 0;
}

// Makes the plan that "--plan auto" stands for and puts its file in its place. Exit code.
int find_plan(TrainCommand& options) {
  if (comm::is_rank_process()) {
    throw ConfigError(
        "--plan auto starts the ranks itself (--nproc); under another launcher, search the plan "
        "before");
  }
  options.job.plan.clear();
  const train::TrainJob job = job_of(options);
  const train::PreparedJob inputs = train::prepare_inputs(job);
  train::check_outputs(job);
  AutoPlanRequest request;
  request.model = job.model.empty() ? job.init_from : job.model;
  request.job = train::job_spec(job, inputs.seq_length);
  request.nproc = options.nproc;
  request.device = comm::pick_device(options.device).is_cuda() ? "cuda" : "cpu";
  request.memory = options.memory;
  request.cache_dir = options.cache_dir;
  request.output =
      std::filesystem::path(job.run_dir.empty() ? options.cache_dir : job.run_dir) / "plan.json";
  const int code = make_auto_plan(request);
  options.job.plan = request.output;
  return code;
}

// Starts this binary once more for each rank.
int start_ranks(const TrainCommand& options, const std::vector<std::string>& arguments) {
  comm::LocalLaunch launch{options.nproc, options.master_port, {}};
  launch.command.push_back(std::filesystem::read_symlink("/proc/self/exe"));
  launch.command.insert(launch.command.end(), arguments.begin(), arguments.end());
  // The last of several wins; a searched plan's file takes the place of "auto".
  if (!options.job.plan.empty()) launch.command.push_back("--plan=" + options.job.plan);
  return comm::launch_local_ranks(launch);
}

int run_train(TrainCommand& options, const std::vector<std::string>& arguments) {
  refuse_contradictions(options);
  if (options.job.plan == kAutoPlan) {
    const int code = find_plan(options);
    if (code != 0) return code;
  }
  const comm::LaunchEnvironment environment = comm::read_launch_environment();
  if (comm::is_rank_process() || options.nproc == 1) return run_rank(options, environment);
  // What is wrong with the job is said once, before any rank is started.
  train::prepare(job_of(options), options.nproc);
  if (comm::pick_device(options.device).is_cuda()) comm::require_cuda(options.nproc - 1);
  return start_ranks(options, arguments);
}

}  // namespace

void add_train_command(CommandLine& line) {
  const auto options = std::make_shared<TrainCommand>();
  CLI::App& command = line.add("train", "Train a model under a plan", kTrainExamples,
                               [options, &line] { return run_train(*options, line.arguments()); });
  add_model_options(command, *options);
  add_image_options(command, options->job.images);
  add_plan_options(command, *options);
  add_optimizer_options(command, *options);
  add_run_options(command, *options);
}

}  // namespace galvatron::cli
