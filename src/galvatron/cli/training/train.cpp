// galvatron train: ranks, a plan, data, and a progress bar.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/base/shell_word.h"
#include "galvatron/cli/training/commands.h"
#include "galvatron/cli/training/foreign_plan.h"
#include "galvatron/cli/training/metrics_follower.h"
#include "galvatron/cli/training/rank_launch.h"
#include "galvatron/cli/training/restarts.h"
#include "galvatron/cli/training/train_auto.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/stop_signals.h"
#include "galvatron/profiler/reference_load.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/data_fit.h"
#include "galvatron/train/train_options.h"

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
    "  galvatron train --model gpt2 --plan plan.json --data corpus --hostfile hosts\n"
    "  galvatron train --model gpt2 --data corpus --nproc 8 --save save --save-interval 500 "
    "--resume "
    "auto\n"
    "Exit codes: 0 done, 1 a rank or the machine failed, 2 something you gave is impossible, 70 "
    "our own bug, 75 stopped by a signal with a checkpoint to go on from.";

constexpr const char* kAutoPlan = "auto";

struct TrainCommand {
  train::TrainJob job;
  RankOptions ranks;
  std::optional<Bytes> memory;  // for --plan auto
  std::string cache_dir = profiler::default_cache_dir();
  bool refresh = false;
  std::string calibration;
  int max_restarts = 0;
  FollowerOptions followers;
  bool searches_plan = false;  // --plan auto
  const CLI::App* app = nullptr;
  std::vector<std::string> arguments;  // of the command line
};

// The job's, and those of whoever starts its ranks.
OptionList options_of(TrainCommand& command) {
  constexpr int kMostRanks = 4096, kMostRestarts = 1000;
  OptionList list = train::train_options(command.job);
  list.group(train::kPlanOptions);
  list.bytes("memory", command.memory, "Of one rank, for --plan auto; default: all there is");
  list.path("cache-dir", command.cache_dir, "Where --plan auto keeps its profiles");
  list.flag("refresh", command.refresh, "--plan auto measures again what is kept there");
  list.path(
      "calibration", command.calibration,
      "Factors of a run's parts over their prediction, which galvatron report writes, for the "
      "search of --plan auto");
  list.group(train::kRankOptions);
  add_rank_options(list, command.ranks, kMostRanks);
  list.count("max-restarts", command.max_restarts, {0, kMostRestarts},
             "How often the ranks that --nproc or --hostfile start are started again after a "
             "failure, from the last checkpoint in --save");
  list.group(train::kOutputOptions);
  list.path("tensorboard", command.followers.tensorboard,
            "Folder of event files that galvatron-metrics writes while the run goes on");
  list.text("wandb", command.followers.wandb,
            "Project of Weights & Biases that galvatron-metrics tells of the run while it goes on",
            "PROJECT");
  return list;
}

void refuse_restarts(const TrainCommand& options, const RankLaunch& launch) {
  if (options.max_restarts == 0 || comm::is_own_rank()) return;
  if (launch.is_rank) {
    throw ConfigError("--max-restarts restarts the ranks that --nproc starts; under ",
                      launch.environment.launcher,
                      ", let it restart them (torchrun --max-restarts ", options.max_restarts,
                      "), with --resume auto");
  }
  if (launch.place.nnodes > 1) {
    throw ConfigError(
        "--max-restarts restarts the ranks that --nproc or --hostfile start; of machines that "
        "are started one by one (--nnodes, Kubernetes), let their scheduler start all again, with "
        "--resume auto");
  }
  if (options.job.save_dir.empty()) {
    throw ConfigError("--max-restarts goes on from the last checkpoint in --save; give --save");
  }
}

void refuse_contradictions(const TrainCommand& options, const RankLaunch& launch) {
  train::refuse_beside_plan(options.job, given_option_of(*options.app, train::kUniformOptions),
                            "--plan");
  const bool is_rank = launch.is_rank;  // whose "auto" has become a file
  refuse_restarts(options, launch);
  check_followers(options.followers, options.job);
  if (is_rank || options.job.plan == kAutoPlan) return;
  if (options.memory) {
    throw ConfigError(
        "--memory is the budget of --plan auto; a plan that is given has no use for it");
  }
  if (options.refresh) {
    throw ConfigError("--refresh belongs to --plan auto, which measures what it searches with");
  }
  if (!options.calibration.empty()) {
    throw ConfigError("--calibration belongs to --plan auto, which searches with it");
  }
}

std::string progress_text(const train::StepRecord& record) {
  const auto images = record.images_per_second();
  const std::string speed = images ? fmt::format("{:.0f} img/s", *images)
                                   : fmt::format("{:.0f} tok/s", record.tokens_per_second());
  std::string text = fmt::format("loss {:.4f}  {}  {}", record.loss, speed, to_text(record.memory));
  if (record.valid_loss) text += fmt::format("  valid {:.4f}", *record.valid_loss);
  if (record.valid_accuracy) text += fmt::format(" ({:.1f} %)", 100 * *record.valid_accuracy);
  return text;
}

// Without what says where the run begins.
std::vector<std::string> without_beginning(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  bool skips_value = false;
  for (const std::string& word : arguments) {
    const bool is_resume = word == "--resume" || word.starts_with("--resume=");
    if (!is_resume && !skips_value && word != "--load-weights-only") out.push_back(word);
    skips_value = word == "--resume";
  }
  return out;
}

// The command that goes on from what `options` saved; "" where nothing was saved.
std::string resume_command(const TrainCommand& options) {
  if (!train::run_of_folder(options.job.save_dir)) return "";
  std::string out = "galvatron";
  std::vector<std::string> words = options.arguments;
  // What start_ranks() has added.
  const bool is_ours = comm::read_launch_environment().launcher == "galvatron";
  if (is_ours && words.back().starts_with("--plan=")) words.pop_back();
  for (const std::string& word : without_beginning(words)) out += " " + shell_word(word);
  return out + " --resume auto";
}

// What the user can do next, on standard error.
void say_how_to_go_on(const TrainCommand& options, const char* when) {
  const std::string command = resume_command(options);
  if (!command.empty()) fmt::print(stderr, "{}:\n  {}\n", when, command);
}

int report_end(const TrainCommand& options, const train::RunSummary& summary, bool is_first) {
  if (is_first) std::cout << train::summary_table(summary) << std::flush;
  const bool failed = !summary.failure.empty();
  if (failed && is_first) fmt::print(stderr, "error: {}\n", summary.failure);
  if (!summary.stopped) {
    // Where a launcher of ours waits, it says how to go on after a failure.
    if (is_first && !(failed && comm::is_own_rank())) {
      say_how_to_go_on(options, failed ? "to go on from the last checkpoint"
                                       : "to train on, with a larger --steps");
    }
    return failed ? 1 : 0;
  }
  if (is_first) {
    const std::string what = options.job.save_dir.empty() ? "nothing was saved: there is no --save"
                             : failed                     ? "that step was not saved"
                                                          : "saved " + summary.checkpoint;
    fmt::print(stderr, "stopped after step {}; {}\n", summary.last_step, what);
    say_how_to_go_on(options, "to go on");
  }
  const bool can_go_on = train::run_of_folder(options.job.save_dir).has_value();
  const int signal = comm::StopSignals::received();
  return can_go_on ? comm::kExitResumable : 128 + (signal == 0 ? SIGTERM : signal);
}

// This process as one rank.
int run_rank(const TrainCommand& options, const comm::LaunchEnvironment& environment) {
  const train::PreparedJob prepared = train::prepare(options.job, environment.world_size);
  comm::WorldOptions world_options;
  world_options.device = comm::pick_device(options.job.device);
  world_options.limits = options.job.limits;
  comm::World world = comm::connect(environment, world_options);
  const comm::StopSignals signals;
  const bool is_first = world.rank() == 0;
  ProgressBar bar("training", is_first ? prepared.job.trainer.num_steps : 0);
  std::optional<MetricsFollowers> followers;
  const train::RunListener listener{
      .on_step =
          [&](const train::StepRecord& record) { bar.update(record.step, progress_text(record)); },
      .on_first_rank =
          [&](const train::StepRecord&) {
            if (followers) followers->look_after();
          },
      .on_start =
          [&](const OrderedJson&) {
            followers.emplace(options.followers, prepared.job,
                              [&bar](const std::string& line) { bar.note(line); });
          },
      .on_note = [&](const std::string& line) { bar.note(line); },
      .reference_ms = [&] { return profiler::reference_ms_now(world.device()); }};
  const train::RunSummary summary = train::run(prepared, world, listener);
  if (followers) followers->finish();
  bar.finish();
  return report_end(options, summary, is_first);
}

AutoPlanRequest auto_plan_request(const TrainCommand& options, const train::PreparedJob& inputs,
                                  const RankLaunch& launch) {
  const train::TrainJob& job = inputs.job;
  AutoPlanRequest request;
  profiler::KeptProfiles& profiles = request.profiles;
  profiles.binary = std::filesystem::read_symlink("/proc/self/exe");
  profiles.model = train::model_for_commands(job, inputs.model, options.cache_dir);
  profiles.overrides = job.overrides;
  profiles.world_size = launch.world_size;
  profiles.ranks_per_node = launch.ranks_per_node;
  profiles.device = comm::pick_device(job.device).is_cuda() ? "cuda" : "cpu";
  profiles.cache_dir = options.cache_dir;
  profiles.refresh = options.refresh;
  request.memory = options.memory;
  request.calibration = options.calibration;
  request.output =
      std::filesystem::path(job.run_dir.empty() ? options.cache_dir : job.run_dir) / "plan.json";
  return request;
}

// Makes the plan that "--plan auto" stands for and puts its file in its place. Exit code.
int find_plan(TrainCommand& options, const RankLaunch& launch) {
  options.searches_plan = true;
  options.job.plan.clear();
  const train::PreparedJob inputs = train::prepare_inputs(options.job);
  train::check_outputs(inputs);
  AutoPlanRequest request = auto_plan_request(options, inputs, launch);
  request.profiles.job = train::job_spec(inputs);
  int code = 0;
  if (!launch.is_rank || launch.world_size == 1) {
    code = make_auto_plan(request);
  } else {
    SharedPlan shared = make_auto_plan(request, launch.environment);
    code = shared.code;
    options.job.given_plan = std::move(shared.plan);
  }
  options.job.plan = request.output;
  return code;
}

bool is_given(const TrainCommand& options, const std::string& name) {
  const std::vector<std::string>& given = options.job.given;
  return std::find(given.begin(), given.end(), name) != given.end();
}

// Starts this binary once more for each rank. `again`: they go on from the last checkpoint, or
// begin once more as they did.
comm::LaunchEnd start_training(const TrainCommand& options, const RankLaunch& launch, bool again) {
  std::vector<std::string> arguments = options.arguments;
  const bool has_checkpoint = train::run_of_folder(options.job.save_dir).has_value();
  if (again && has_checkpoint) arguments = without_beginning(arguments);
  if (again && (has_checkpoint || !is_given(options, "resume")))
    arguments.push_back("--resume=auto");
  // The last of several wins; a searched plan's file takes the place of "auto".
  if (!options.job.plan.empty()) arguments.push_back("--plan=" + options.job.plan);
  comm::LaunchEnd end = start_ranks(launch, options.ranks, arguments);
  if (end.was_idle && !options.job.save_dir.empty()) end.code = comm::kExitResumable;
  return end;
}

std::string newest_checkpoint(const std::string& save_dir) {
  if (!train::run_of_folder(save_dir)) return "";
  return train::checkpoint_candidates(save_dir).paths.front().string();
}

// Makes the job ready for so many ranks. What is against it goes to `why`.
bool can_run_with(TrainCommand& options, int num_ranks, std::string& why) {
  try {
    if (!is_given(options, "resume")) options.job.resume = train::kAutoResume;
    if (options.searches_plan) return find_plan(options, launch_here(num_ranks)) == 0;
    train::prepare(options.job, num_ranks);
    return true;
  } catch (const ConfigError& error) {
    why = error.what();
    return false;
  }
}

// The device of rank `failed` is left out from here on.
void hide_device(int failed, int num_ranks) {
  const char* given = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> devices;
  if (given && *given) {
    devices = split_list(given);
  } else {
    for (int i = 0; i < num_ranks; ++i) devices.push_back(std::to_string(i));
  }
  if (failed < static_cast<int>(devices.size())) devices.erase(devices.begin() + failed);
  setenv("CUDA_VISIBLE_DEVICES", fmt::format("{}", fmt::join(devices, ",")).c_str(), 1);
}

int fewer_ranks(TrainCommand& options, int num_ranks, int failed) {
  const std::string what =
      fmt::format("rank {} failed twice in a row without a new checkpoint", failed);
  if (!options.job.plan.empty() && !options.searches_plan) {
    fmt::print(stderr, "{}; the plan {} needs its {} ranks (--plan auto would search for fewer)\n",
               what, options.job.plan, num_ranks);
    return 0;
  }
  if (comm::pick_device(options.job.device).is_cuda()) hide_device(failed, num_ranks);
  std::string why = "there is no other";
  for (int fewer = num_ranks - 1; fewer > 0; --fewer) {
    if (!can_run_with(options, fewer, why)) continue;
    fmt::print(stderr, "{}: going on with {} instead of {}\n", what, fewer, num_ranks);
    return fewer;
  }
  fmt::print(stderr, "{}, and fewer than {} cannot run the job: {}\n", what, num_ranks, why);
  return 0;
}

int start_job(TrainCommand& options, const RankLaunch& launch) {
  const Restarts restarts{
      options.max_restarts,
      [&](int num_ranks, bool again) {
        const bool all = num_ranks == launch.world_size;
        return start_training(
            options, all ? launch : launch_here(num_ranks, launch.place.master_port), again);
      },
      [&] { return newest_checkpoint(options.job.save_dir); },
      [&](int num_ranks, int failed) { return fewer_ranks(options, num_ranks, failed); }};
  const int code = run_with_restarts(launch.world_size, restarts);
  if (code != 0 && code != comm::kExitResumable && code != kExitBadInput)
    say_how_to_go_on(options, "to go on from the last checkpoint");
  return code;
}

int run_train(TrainCommand& options) {
  const comm::IdleStop idle(!options.job.save_dir.empty());
  const RankLaunch launch = plan_launch(options.ranks);
  refuse_contradictions(options, launch);
  // Ranks of several machines measure together, as under another launcher.
  const bool plans_here = launch.is_rank || launch.is_one_machine();
  if (options.job.plan == kAutoPlan && plans_here) {
    const int code = find_plan(options, launch);
    if (code != 0) return code;
  }
  if (options.job.plan != kAutoPlan) read_foreign_plan(options.job, launch.world_size);
  const bool alone = !launch.starts_ranks() && options.max_restarts == 0;
  if (launch.is_rank || alone) {
    const std::string note = comm::unused_tasks_note();
    if (!launch.is_rank && !note.empty()) fmt::print(stderr, "{}\n", note);
    return run_rank(options, launch.environment);
  }
  // What is wrong with the job is said once, before any rank is started.
  if (options.job.plan != kAutoPlan) train::prepare(options.job, launch.world_size);
  if (launch.hosts.empty() && comm::pick_device(options.job.device).is_cuda())
    comm::check_cuda(launch.place.nproc - 1);
  return start_job(options, launch);
}

}  // namespace

void add_train_command(CommandLine& line) {
  const auto options = std::make_shared<TrainCommand>();
  CLI::App& command = line.add("train", kTrainExamples, [options, &line] {
    options->arguments = line.arguments();
    options->job.given = given_options(*options->app, options_of(*options));
    return run_train(*options);
  });
  options->app = &command;
  add_options(command, options_of(*options));
}

}  // namespace galvatron::cli
