// galvatron train: ranks, a plan, data, and a progress bar.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iostream>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/cli/training/commands.h"
#include "galvatron/cli/training/restarts.h"
#include "galvatron/cli/training/train_auto.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/stop_signals.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/train/checkpoint_folder.h"
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
    "  galvatron train --model gpt2 --data corpus --nproc 8 --save save --save-interval 500 "
    "--resume "
    "auto\n"
    "Exit codes: 0 done, 1 a rank or the machine failed, 2 something you gave is impossible, 70 "
    "our own bug, 75 stopped by a signal with a checkpoint to go on from.";

constexpr const char* kAutoPlan = "auto";

struct TrainCommand {
  train::TrainJob job;
  int nproc = 1;
  int master_port = 0;
  std::optional<Bytes> memory;  // for --plan auto
  std::string cache_dir = default_cache_dir();
  bool refresh = false;
  int max_restarts = 0;
  bool searches_plan = false;  // --plan auto
  const CLI::App* app = nullptr;
  std::vector<std::string> arguments;  // of the command line
};

// The job's, and those of whoever starts its ranks.
OptionList options_of(TrainCommand& command) {
  constexpr int kMostRanks = 4096, kMostPort = 65535, kMostRestarts = 1000;
  OptionList list = train::train_options(command.job);
  list.group(train::kPlanOptions);
  list.bytes("memory", command.memory, "Of one rank, for --plan auto; default: all there is");
  list.path("cache-dir", command.cache_dir, "Where --plan auto keeps its profiles");
  list.flag("refresh", command.refresh, "--plan auto measures again what is kept there");
  list.group(train::kRankOptions);
  list.count("nproc", command.nproc, {1, kMostRanks},
             "Ranks to start on this machine. Under torchrun, srun or mpirun their ranks are used "
             "instead");
  list.count("master-port", command.master_port, {0, kMostPort},
             "Port of the ranks' store; 0: any free one");
  list.count("max-restarts", command.max_restarts, {0, kMostRestarts},
             "How often the ranks that --nproc starts are started again after a failure, from the "
             "last checkpoint in --save");
  return list;
}

void refuse_contradictions(const TrainCommand& options) {
  train::refuse_beside_plan(options.job, given_option_of(*options.app, train::kUniformOptions),
                            "--plan");
  const bool is_rank = comm::is_rank_process();  // whose "auto" has become a file
  const comm::LaunchEnvironment environment = comm::read_launch_environment();
  const bool theirs = is_rank && environment.launcher != "galvatron";
  if (theirs && options.nproc > 1 && options.nproc != environment.world_size) {
    throw ConfigError("--nproc ", options.nproc, ", but ", environment.launcher, " started ",
                      environment.world_size, " ranks; leave --nproc away under another launcher");
  }
  if (theirs && options.max_restarts > 0) {
    throw ConfigError("--max-restarts restarts the ranks that --nproc starts; under ",
                      environment.launcher, ", let it restart them (torchrun --max-restarts ",
                      options.max_restarts, "), with --resume auto");
  }
  if (options.max_restarts > 0 && options.job.save_dir.empty()) {
    throw ConfigError("--max-restarts goes on from the last checkpoint in --save; give --save");
  }
  if (options.memory && options.job.plan != kAutoPlan && !is_rank) {
    throw ConfigError(
        "--memory is the budget of --plan auto; a plan that is given has no use for it");
  }
  if (options.refresh && options.job.plan != kAutoPlan && !is_rank) {
    throw ConfigError("--refresh belongs to --plan auto, which measures what it searches with");
  }
}

std::string progress_text(const train::StepRecord& record) {
  std::string text = fmt::format("loss {:.4f}  {:.0f} tok/s  {}", record.loss,
                                 record.tokens_per_second(), to_text(record.memory));
  if (record.valid_loss) text += fmt::format("  valid {:.4f}", *record.valid_loss);
  return text;
}

// For a shell.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "-_./=,:+@%";
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [&](unsigned char c) {
    return std::isalnum(c) || kPlain.find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
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
  for (const std::string& word : without_beginning(words)) out += " " + quoted(word);
  return out + " --resume auto";
}

// What the user can do next, on standard error.
void say_how_to_go_on(const TrainCommand& options, const char* when) {
  const std::string command = resume_command(options);
  if (!command.empty()) fmt::print(stderr, "{}:\n  {}\n", when, command);
}

int report_end(const TrainCommand& options, const train::RunSummary& summary, bool is_first) {
  if (is_first) std::cout << train::summary_table(summary) << std::flush;
  if (!summary.stopped) {
    if (is_first) say_how_to_go_on(options, "to train on, with a larger --steps");
    return 0;
  }
  const bool saved = !summary.checkpoint.empty();
  if (is_first) {
    fmt::print(stderr, "stopped after step {}; {}\n", summary.last_step,
               saved ? "saved " + summary.checkpoint : "nothing was saved: there is no --save");
    say_how_to_go_on(options, "to go on");
  }
  const int signal = comm::StopSignals::received();
  return saved ? comm::kExitResumable : 128 + (signal == 0 ? SIGTERM : signal);
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
  const train::RunListener listener{
      [&](const train::StepRecord& record) { bar.update(record.step, progress_text(record)); },
      [&](const std::string& line) { bar.note(line); }};
  const train::RunSummary summary = train::run(prepared, world, listener);
  bar.finish();
  return report_end(options, summary, is_first);
}

AutoPlanRequest auto_plan_request(const TrainCommand& options, const train::TrainJob& job,
                                  const comm::LaunchEnvironment& environment) {
  const bool alone = environment.world_size == 1;
  AutoPlanRequest request;
  request.model = job.model.empty() ? job.init_from : job.model;
  request.overrides = job.overrides;
  request.world_size = alone ? options.nproc : environment.world_size;
  request.ranks_per_node = alone ? options.nproc : environment.local_world_size;
  request.device = comm::pick_device(job.device).is_cuda() ? "cuda" : "cpu";
  request.memory = options.memory;
  request.cache_dir = options.cache_dir;
  request.refresh = options.refresh;
  request.output =
      std::filesystem::path(job.run_dir.empty() ? options.cache_dir : job.run_dir) / "plan.json";
  return request;
}

// Makes the plan that "--plan auto" stands for and puts its file in its place. Exit code.
int find_plan(TrainCommand& options, const comm::LaunchEnvironment& environment) {
  options.searches_plan = true;
  options.job.plan.clear();
  const train::PreparedJob inputs = train::prepare_inputs(options.job);
  const train::TrainJob& job = inputs.job;  // with what a checkpoint says
  train::check_outputs(job, inputs.resume);
  AutoPlanRequest request = auto_plan_request(options, job, environment);
  request.job = train::job_spec(job, inputs.seq_length);
  int code = 0;
  if (environment.world_size == 1) {
    code = make_auto_plan(request);
  } else {
    SharedPlan shared = make_auto_plan(request, environment);
    code = shared.code;
    options.job.given_plan = std::move(shared.plan);
  }
  options.job.plan = request.output;
  return code;
}

// Reads a plan of Galvatron-2's here: nobody beyond the command line knows them.
void read_foreign_plan(train::TrainJob& job, int world_size) {
  const std::string model = job.model.empty() ? job.init_from : job.model;
  if (job.plan.empty() || job.given_plan || model.empty()) return;
  if (!galvatron2::is_galvatron2_plan(read_json_file(job.plan))) return;
  const galvatron2::PlanFacts facts{model, job.overrides, world_size,
                                    train::job_spec(job, 0).precision};
  job.given_plan =
      galvatron2::read_any_plan(job.plan, spec::load_model(model, job.overrides), facts);
}

bool is_given(const TrainCommand& options, const std::string& name) {
  const std::vector<std::string>& given = options.job.given;
  return std::find(given.begin(), given.end(), name) != given.end();
}

// Starts this binary once more for each rank. `again`: they go on from the last checkpoint, or
// begin once more as they did.
comm::LaunchEnd start_ranks(const TrainCommand& options, int num_ranks, bool again) {
  std::vector<std::string> arguments = options.arguments;
  const bool has_checkpoint = train::run_of_folder(options.job.save_dir).has_value();
  if (again && has_checkpoint) arguments = without_beginning(arguments);
  comm::LocalLaunch launch{num_ranks, options.master_port, {}};
  launch.command.push_back(std::filesystem::read_symlink("/proc/self/exe"));
  launch.command.insert(launch.command.end(), arguments.begin(), arguments.end());
  if (again && (has_checkpoint || !is_given(options, "resume")))
    launch.command.push_back("--resume=auto");
  // The last of several wins; a searched plan's file takes the place of "auto".
  if (!options.job.plan.empty()) launch.command.push_back("--plan=" + options.job.plan);
  return comm::launch_local_ranks(launch);
}

std::string newest_checkpoint(const std::string& save_dir) {
  if (!train::run_of_folder(save_dir)) return "";
  return train::checkpoint_candidates(save_dir).paths.front().string();
}

// Makes the job ready for so many ranks. What is against it goes to `why`.
bool can_run_with(TrainCommand& options, int num_ranks, std::string& why) {
  try {
    if (!is_given(options, "resume")) options.job.resume = train::kAutoResume;
    if (options.searches_plan) {
      options.nproc = num_ranks;
      return find_plan(options, comm::read_launch_environment()) == 0;
    }
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

int start_job(TrainCommand& options) {
  const Restarts restarts{
      options.max_restarts,
      [&](int num_ranks, bool again) { return start_ranks(options, num_ranks, again); },
      [&] { return newest_checkpoint(options.job.save_dir); },
      [&](int num_ranks, int failed) { return fewer_ranks(options, num_ranks, failed); }};
  const int code = run_with_restarts(options.nproc, restarts);
  if (code != 0 && code != comm::kExitResumable && code != kExitBadInput)
    say_how_to_go_on(options, "to go on from the last checkpoint");
  return code;
}

int run_train(TrainCommand& options) {
  refuse_contradictions(options);
  const comm::LaunchEnvironment environment = comm::read_launch_environment();
  if (options.job.plan == kAutoPlan) {
    const int code = find_plan(options, environment);
    if (code != 0) return code;
  }
  read_foreign_plan(options.job, comm::is_rank_process() ? environment.world_size : options.nproc);
  const bool alone = options.nproc == 1 && options.max_restarts == 0;
  if (comm::is_rank_process() || alone) return run_rank(options, environment);
  // What is wrong with the job is said once, before any rank is started.
  train::prepare(options.job, options.nproc);
  if (comm::pick_device(options.job.device).is_cuda()) comm::check_cuda(options.nproc - 1);
  return start_job(options);
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
