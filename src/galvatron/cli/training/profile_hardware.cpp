// galvatron profile-hardware: what the ranks of this machine or job can do together.
#include <cstdio>
#include <memory>
#include <optional>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/cli/nccl_tests.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/cli/training/commands.h"
#include "galvatron/cli/training/rank_launch.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/hardware_profiler.h"
#include "galvatron/profiler/machine.h"
#include "galvatron/profiler/profile_tables.h"

namespace galvatron::cli {
namespace {

constexpr const char* kHardwareExamples =
    "Examples:\n"
    "  galvatron profile-hardware --nproc 8 --output profiles/hardware.json\n"
    "  galvatron profile-hardware --nproc 2 --quick\n"
    "  torchrun --no-python --nproc-per-node 8 galvatron profile-hardware --device cuda\n"
    "  galvatron profile-hardware --from-nccl-tests *_perf.txt   of a machine that others measured";

struct ProfileHardwareCommand {
  RankOptions ranks;
  std::string output = "hardware.json";
  std::optional<Bytes> max_bytes;
  std::optional<double> seconds;
  bool quick = false;
  std::string device = "cpu";
  std::uint64_t seed = 0;
  NcclTestsCommand tests;
};

int measure_hardware(const ProfileHardwareCommand& options,
                     const comm::LaunchEnvironment& environment) {
  at::set_num_threads(profiler::threads_per_rank(environment.local_world_size));
  comm::WorldOptions world_options;
  world_options.device = c10::Device(options.device);
  comm::World world = comm::connect(environment, world_options);
  const bool first = world.rank() == 0;

  constexpr int kProgressSteps = 1000;
  std::optional<ProgressBar> bar;  // from the first measurement on
  profiler::HardwareProfileOptions profile_options;
  profile_options.max_bytes = options.max_bytes;
  if (options.quick) {
    constexpr double kSeconds = 10, kRounds = 0.2;
    if (!options.max_bytes) profile_options.max_bytes = mebibytes(32);
    profile_options.seconds = kSeconds;
    profile_options.rounds = kRounds;
  }
  profile_options.seconds = options.seconds.value_or(profile_options.seconds);
  profile_options.ranks_per_node = environment.local_world_size;
  profile_options.seed = static_cast<std::int64_t>(options.seed);
  profile_options.progress = [&](double done, const std::string& what) {
    if (!bar) bar.emplace("profile-hardware", first ? kProgressSteps : 0);
    bar->update(static_cast<std::int64_t>(done * kProgressSteps), what);
  };
  const profiles::HardwareProfile profile = profiler::profile_hardware(world, profile_options);
  if (bar) bar->finish();
  if (!first) return 0;
  profiles::write_hardware_profile(options.output, profile);
  std::printf("%s\n  written to %s\n", profiler::hardware_table(profile).c_str(),
              options.output.c_str());
  return 0;
}

OptionList options_of(ProfileHardwareCommand& command) {
  constexpr int kMostRanks = 1024, kMostSeconds = 86400;
  OptionList list;
  list.group("Ranks");
  add_rank_options(list, command.ranks, kMostRanks);
  list.choice("device", command.device, {"cpu", "cuda"}, "Where ranks compute");
  list.group("Measurement");
  list.bytes("max-bytes", command.max_bytes,
             "Largest message; default: 1GiB, or a sixteenth of a rank's memory");
  list.number("seconds", command.seconds, {1, kMostSeconds},
              "Time for the collectives, default 45; sizes that do not fit are left out");
  list.flag("quick", command.quick,
            "Under a minute: 10 seconds for the collectives, messages up to 32MiB, fewer rounds");
  list.seed("seed", command.seed, "Recorded in the profile");
  list.append(nccl_tests_options(command.tests));
  list.group("Output");
  list.path("output", command.output, "Profile to write (JSON)");
  return list;
}

}  // namespace

void add_profile_hardware_command(CommandLine& line) {
  const auto options = std::make_shared<ProfileHardwareCommand>();
  const auto run = [options, &line] {
    require_writable(options->output, "--output");
    if (!options->tests.files.empty()) {
      return profile_from_nccl_tests(options->tests, options->output);
    }
    if (!options->tests.options.data_sheet.empty() || options->tests.options.devices_per_node > 0) {
      throw ConfigError(
          "--data-sheet and --devices-per-node belong to --from-nccl-tests; what is "
          "measured here needs neither");
    }
    const RankLaunch launch = plan_launch(options->ranks);
    if (launch.starts_ranks()) return start_ranks(launch, options->ranks, line.arguments()).code;
    return measure_hardware(*options, launch.environment);
  };
  CLI::App& command = line.add("profile-hardware", kHardwareExamples, run);
  add_options(command, options_of(*options));
}

}  // namespace galvatron::cli
