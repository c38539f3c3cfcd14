// galvatron evaluate: loss and accuracy of weights over data, without training them.
#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/cli/training/commands.h"
#include "galvatron/cli/training/foreign_plan.h"
#include "galvatron/cli/training/rank_launch.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/train/train_options.h"

namespace galvatron::cli {
namespace {

constexpr const char* kEvaluateExamples =
    "Examples:\n"
    "  galvatron evaluate --init-from llama-folder --data corpus --part test\n"
    "  galvatron evaluate --init-from llama-folder --data corpus --split 1 --part train   all of "
    "it\n"
    "  galvatron evaluate --resume save --data corpus --plan plan.json --nproc 8 --json\n"
    "Exit codes: 0 done, 1 a rank or the machine failed, 2 something you gave is impossible, 70 "
    "our own bug.";

struct EvaluateCommand {
  train::TrainJob job;
  train::EvaluationRequest request;
  RankOptions ranks;
  bool json = false;
  const CLI::App* app = nullptr;
};

OptionList options_of(EvaluateCommand& command) {
  constexpr int kMostRanks = 4096;
  OptionList list = train::evaluation_options(command.job, command.request);
  list.group(train::kRankOptions);
  add_rank_options(list, command.ranks, kMostRanks);
  list.group(train::kOutputOptions);
  list.flag("json", command.json, "For programs: one object");
  return list;
}

void check_evaluation(const EvaluateCommand& command) {
  const train::TrainJob& job = command.job;
  train::refuse_beside_plan(job, given_option_of(*command.app, train::kUniformOptions), "--plan");
  if (job.init_from.empty() && job.resume.empty()) {
    throw ConfigError("[evaluate] whose weights? Give a Hugging Face folder as --init-from, or a ",
                      "checkpoint as --resume");
  }
  if (job.plan == "auto") {
    throw ConfigError("[evaluate] --plan auto searches for what trains fastest; name a plan file, ",
                      "or leave it away");
  }
  if (job.resume == train::kAutoResume)
    throw ConfigError("[evaluate] --resume auto goes on in --save; name the checkpoint");
}

// This process as one rank.
int evaluate_here(const EvaluateCommand& command, const comm::LaunchEnvironment& environment) {
  const train::PreparedJob prepared =
      train::prepare_evaluation(command.job, environment.world_size);
  comm::WorldOptions options;
  options.device = comm::pick_device(command.job.device);
  options.limits = command.job.limits;
  comm::World world = comm::connect(environment, options);
  train::RunListener listener;
  listener.on_note = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  const train::EvaluationSummary summary =
      train::evaluate(prepared, world, command.request.num_batches, listener);
  if (world.rank() > 0) return 0;
  std::cout << (command.json ? train::evaluation_to_json(summary, prepared.plan).dump(2) + "\n"
                             : train::evaluation_table(summary, prepared.plan))
            << std::flush;
  return 0;
}

int run_evaluate(EvaluateCommand& command, const std::vector<std::string>& arguments) {
  const RankLaunch launch = plan_launch(command.ranks);
  check_evaluation(command);
  train::be_evaluated(command.job, command.request);
  read_foreign_plan(command.job, launch.world_size);
  if (!launch.starts_ranks()) return evaluate_here(command, launch.environment);
  // What is wrong is said once, before any rank is started.
  train::prepare_evaluation(command.job, launch.world_size);
  if (launch.hosts.empty() && comm::pick_device(command.job.device).is_cuda())
    comm::check_cuda(launch.place.nproc - 1);
  return start_ranks(launch, command.ranks, arguments).code;
}

}  // namespace

void add_evaluate_command(CommandLine& line) {
  const auto command = std::make_shared<EvaluateCommand>();
  CLI::App& app = line.add("evaluate", kEvaluateExamples, [command, &line] {
    command->job.given = given_options(*command->app, options_of(*command));
    return run_evaluate(*command, line.arguments());
  });
  command->app = &app;
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
