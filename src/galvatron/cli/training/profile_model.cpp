// galvatron profile-model: time and memory of one layer of each type.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "galvatron/base/progress.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/cli/training/commands.h"
#include "galvatron/cli/training/rank_launch.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/machine.h"
#include "galvatron/profiler/model_profiler.h"
#include "galvatron/profiler/profile_tables.h"

namespace galvatron::cli {
namespace {

constexpr const char* kModelExamples =
    "Example:\n"
    "  galvatron profile-model --model gpt2 --seq-length 1024 --precision fp32 --nproc 8 "
    "--output profiles/gpt2.json";

struct ProfileModelCommand {
  std::string model;
  spec::ModelOverrides overrides;
  std::int64_t seq_length = 1024;
  std::optional<spec::Precision> precision;  // unset: what is fast on the device
  std::vector<int> microbatch_sizes;
  std::vector<int> tp_degrees;
  int nproc = 1;
  std::string device = "cpu";
  double seconds = 20;
  std::uint64_t seed = 0;
  std::string output = "model.json";
};

// Ranks that this command has started itself, also beside those of a training.
constexpr const char* kPurpose = "profile-model";
bool is_one_of_ours() {
  const char* purpose = std::getenv(comm::kPurposeVariable);
  return purpose && purpose == std::string(kPurpose);
}

int start_ours(int nproc, const std::vector<std::string>& arguments) {
  setenv(comm::kPurposeVariable, kPurpose, /*overwrite=*/1);
  RankLaunch launch;
  launch.place.nproc = launch.world_size = nproc;
  return start_ranks(launch, {}, arguments).code;
}

int measure_model(const ProfileModelCommand& options, const std::vector<std::string>& arguments) {
  const spec::ModelSpec model = spec::load_model(options.model, options.overrides);
  require_writable(options.output, "--output");
  if (options.nproc > 1 && !is_one_of_ours()) return start_ours(options.nproc, arguments);
  at::set_num_threads(profiler::threads_per_rank(options.nproc));
  std::optional<comm::World> ranks;
  if (options.nproc > 1) {
    comm::WorldOptions world_options;
    world_options.device = c10::Device(options.device);
    ranks.emplace(comm::connect(comm::read_launch_environment(), world_options));
  }
  const bool first = !ranks || ranks->rank() == 0;
  constexpr int kProgressSteps = 1000;
  std::optional<ProgressBar> bar;  // from the first measurement on
  profiler::ModelProfileOptions profile_options;
  profile_options.seq_length = options.seq_length;
  profile_options.precision = options.precision.value_or(spec::fast_precision(options.device));
  profile_options.microbatch_sizes.assign(options.microbatch_sizes.begin(),
                                          options.microbatch_sizes.end());
  profile_options.tp_degrees = options.tp_degrees;
  profile_options.seconds = options.seconds;
  profile_options.device = c10::Device(options.device);
  profile_options.seed = static_cast<std::int64_t>(options.seed);
  profile_options.progress = [&](double done, const std::string& what) {
    if (!bar) bar.emplace("profile-model", first ? kProgressSteps : 0);
    bar->update(static_cast<std::int64_t>(done * kProgressSteps), what);
  };
  if (ranks) {
    profile_options.ranks = &*ranks;
    profile_options.device = ranks->device();
  } else if (options.device == "cuda") {
    comm::require_cuda(0);
    profile_options.device = c10::Device(c10::kCUDA, 0);
  }
  const profiles::ModelProfile profile = profiler::profile_model(model, profile_options);
  if (bar) bar->finish();
  if (!first) return 0;
  profiles::write_model_profile(options.output, profile);
  std::printf("%s\n  written to %s\n", profiler::model_table(profile).c_str(),
              options.output.c_str());
  return 0;
}

OptionList options_of(ProfileModelCommand& command) {
  constexpr int kMostRanks = 1024, kMostSeconds = 86400;
  OptionList list;
  list.group("Model");
  list.text("model", command.model, "Preset name, config.json or folder").required();
  list.count("seq-length", command.seq_length, {.min = 1}, "Tokens of a sample");
  list.choice("precision", command.precision,
              "Of compute; default: what is fast on --device: bf16 on cuda, fp32 on cpu");
  list.append(spec::model_override_options(command.overrides));
  list.group("Measurement");
  list.counts(
      "microbatch-sizes", command.microbatch_sizes, {.min = 1},
      "Samples of a microbatch on one rank; by default 1, 2, 4, and twice as many until the "
      "time of a sample no longer falls");
  list.counts(
      "tp-degrees", command.tp_degrees, {.min = 1},
      "Tensor-parallel degrees; by default the powers of two up to 8 that divide the model");
  list.count("nproc", command.nproc, {1, kMostRanks},
             "Ranks that will train on this machine: decides the threads of one, and how much "
             "they slow each other down is measured");
  list.choice("device", command.device, {"cpu", "cuda"}, "Where the rank computes");
  list.number("seconds", command.seconds, {0, kMostSeconds},
              "Time for repetitions; every case is measured at least three times");
  list.seed("seed", command.seed, "Of the weights; recorded in the profile");
  list.group("Output");
  list.path("output", command.output, "Profile to write (JSON)");
  return list;
}

}  // namespace

void add_profile_model_command(CommandLine& line) {
  const auto options = std::make_shared<ProfileModelCommand>();
  CLI::App& command = line.add("profile-model", kModelExamples, [options, &line] {
    return measure_model(*options, line.arguments());
  });
  add_options(command, options_of(*options));
}

}  // namespace galvatron::cli
