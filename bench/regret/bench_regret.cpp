// How good predictions are on this machine: profiles taken now, then many plans of one model, each
// predicted and measured, turn by turn in the same ranks. Prints the error of relative times, how
// many pairs are in the right order, how much slower the searched plan is than the best one
// measured, and how far a plan is from itself.
#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "galvatron/base/json.h"
#include "galvatron/base/progress.h"
#include "galvatron/comm/launch.h"
#include "galvatron/profiler/hardware_profiler.h"
#include "galvatron/profiler/machine.h"
#include "galvatron/profiler/model_profiler.h"
#include "galvatron/runtime/memory_meter.h"

#include "regret/contenders.h"
#include "regret/sleeping_layers.h"
#include "regret/slow_links.h"
#include "regret/turns.h"
#include "regret/verdict.h"

namespace galvatron::bench {
namespace {

struct Options {
  int nproc = 2;
  std::string model = "gpt2-quickstart";
  std::int64_t layers = 0;
  std::int64_t seq_length = 128, global_batch = 8;
  std::string precision = "fp32";
  std::string folder = "build/regret";  // of profiles and the verdict
  bool keep_profiles = false;
  std::string again;  // a verdict whose measurements are taken
  bool rehearse = false;
  int nodes = 4;  // that are rehearsed
  double hardware_seconds = 30, model_seconds = 45;
  ContenderCounts counts;
  TurnsOptions turns;
};

class Bench {
 public:
  Bench(const Options& options, comm::World& world)
      : options_(options), world_(world), folder_(options.folder) {
    spec::ModelOverrides overrides;
    if (options.layers > 0) overrides.num_layers = options.layers;
    if (options.rehearse) {  // what is sent takes milliseconds, not seconds
      overrides.hidden_size = 32;
      overrides.num_heads = 8;
      overrides.vocab_size = 512;
    }
    model_ = spec::load_model(options.model, overrides);
    job_.seq_length = model_.choose_seq_length(options.seq_length, options.seq_length);
    job_.global_batch = options.global_batch;
    job_.precision = spec::parse_precision(options.precision);
    if (world_.rank() == 0) std::filesystem::create_directories(folder_);
  }

  void run() {
    profile();
    const profiles::HardwareProfile hardware = profiles::read_hardware_profile(hardware_file());
    profiles::ModelProfile profile = profiles::read_model_profile(model_file());
    profile.prepare(model_, job_.seq_length, job_.precision);
    compare({model_, job_, hardware, profile});
  }

  // With layers that sleep, on links that are slow.
  void rehearse(const profiles::HardwareProfile& links) {
    const auto profile = rehearsed_profile(model_, job_.seq_length);
    compare({model_, job_, links, profile});
  }

 private:
  void compare(const cost::CostInputs& inputs) {
    if (!options_.again.empty()) {
      const auto [contenders, measured] = from_verdict_json(read_json_file(options_.again), inputs);
      return tell(contenders, measured, inputs.hardware.memory_reserve);
    }
    const Contenders contenders = choose_contenders(inputs, options_.counts);
    std::vector<const plan::Plan*> plans;
    for (const Contender& one : contenders.plans) plans.push_back(&one.plan);

    TurnsOptions turns = options_.turns;
    turns.seq_length = job_.seq_length;
    ProgressBar bar("regret", world_.rank() == 0 ? static_cast<std::int64_t>(plans.size()) : 0);
    if (options_.rehearse) {
      turns.layers = [&](const plan::Plan& plan) { return sleeping_layers(inputs, plan); };
      turns.warm_steps = 0;
      turns.timed_steps = 1;
    }
    turns.progress = [&](int done, const std::string& what) { bar.update(done, what); };
    const std::vector<Measured> measured = take_turns(model_, plans, world_, turns);
    bar.finish();
    tell(contenders, measured, inputs.hardware.memory_reserve);
  }

  void tell(const Contenders& contenders, const std::vector<Measured>& measured, Bytes reserve) {
    if (world_.rank() != 0) return;
    std::printf("%s", verdict_text(contenders, measured, reserve).c_str());
    write_json_file(folder_ / "verdict.json", verdict_json(contenders, measured, reserve));
  }

  bool keeps_profiles() const { return options_.keep_profiles || !options_.again.empty(); }
  std::filesystem::path hardware_file() const { return folder_ / "hardware.json"; }
  std::filesystem::path model_file() const { return folder_ / "model.json"; }

  void profile() {
    if (keeps_profiles() && std::filesystem::exists(model_file())) return;
    profiler::HardwareProfileOptions of_hardware;
    of_hardware.seconds = options_.hardware_seconds;
    of_hardware.max_bytes = mebibytes(16);
    const auto hardware = profiler::profile_hardware(world_, of_hardware);
    profiler::ModelProfileOptions of_model;
    of_model.seq_length = job_.seq_length;
    of_model.precision = job_.precision;
    of_model.seconds = options_.model_seconds;
    of_model.ranks = &world_;
    const auto profile = profiler::profile_model(model_, of_model);
    if (world_.rank() == 0) {
      profiles::write_hardware_profile(hardware_file(), hardware);
      profiles::write_model_profile(model_file(), profile);
    }
    world_.all().barrier();
  }

  const Options& options_;
  comm::World& world_;
  std::filesystem::path folder_;
  spec::ModelSpec model_;
  spec::JobSpec job_;
};

int run_rank(const Options& options) {
  const comm::LaunchEnvironment environment = comm::read_launch_environment();
  runtime::MemoryMeter::install();
  at::set_num_threads(profiler::threads_per_rank(environment.local_world_size));
  comm::World world = comm::connect(environment, {});
  Bench(options, world).run();
  return 0;
}

// Ranks are threads: nothing is computed.
int rehearse(const Options& options) {
  at::set_num_threads(1);
  const profiles::HardwareProfile links = rehearsed_hardware(options.nproc, options.nodes);
  run_on_slow_links(links, [&](comm::World& world) { Bench(options, world).rehearse(links); });
  return 0;
}

int run(const Options& options, const std::vector<std::string>& command) {
  try {
    if (options.rehearse) return rehearse(options);
    if (comm::is_rank_process()) return run_rank(options);
    comm::LocalLaunch launch;
    launch.nproc = options.nproc;
    launch.command = command;
    return comm::launch_local_ranks(launch).code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace galvatron::bench

int main(int argc, char** argv) {
  galvatron::comm::prepare_process();
  galvatron::bench::Options options;
  CLI::App app("Predicted step times beside measured ones, plans taking turns");
  app.add_option("--nproc", options.nproc, "Ranks on this machine");
  app.add_option("--model", options.model, "Preset or config.json");
  app.add_option("--layers", options.layers, "Blocks; 0: the model's");
  app.add_option("--seq-length", options.seq_length, "Tokens per sample");
  app.add_option("--global-batch", options.global_batch, "Samples per step");
  app.add_option("--precision", options.precision, "fp32 or bf16");
  app.add_option("--folder", options.folder, "Of profiles and verdict.json");
  app.add_flag("--keep-profiles", options.keep_profiles, "Take those that lie there");
  app.add_option("--again", options.again,
                 "A verdict.json: its plans and what was measured of them, predicted anew from the "
                 "profiles in --folder");
  app.add_flag("--rehearse", options.rehearse,
               "Layers that sleep and links that are slow: ranks are threads, nothing computes");
  app.add_option("--nodes", options.nodes, "Nodes that the ranks of a rehearsal lie on");
  app.add_option("--hardware-seconds", options.hardware_seconds, "Time for the collectives");
  app.add_option("--model-seconds", options.model_seconds, "Time for the layers");
  app.add_option("--uniform", options.counts.uniform, "Uniform plans at most");
  app.add_option("--searched", options.counts.searched, "Plans of the search at most");
  app.add_option("--random", options.counts.random, "Random mixed plans");
  app.add_option("--seed", options.counts.seed, "Of the draws");
  app.add_option("--rounds", options.turns.rounds, "Steps of each plan");
  app.add_option("--at-once", options.turns.at_once, "Plans that live at the same time");
  CLI11_PARSE(app, argc, argv);
  return galvatron::bench::run(options, {argv, argv + argc});
}
