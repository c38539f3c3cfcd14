#include "galvatron/cli/nccl_tests.h"

#include <cstdio>
#include <memory>

#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"

namespace galvatron::cli {

OptionList nccl_tests_options(NcclTestsCommand& command) {
  constexpr int kMostDevices = 1024;
  OptionList list;
  list.group("Instead of measuring");
  list.texts(kFromNcclTests, command.files,
             "Outputs of all_reduce_perf, all_gather_perf, reduce_scatter_perf, alltoall_perf and "
             "sendrecv_perf, as printed or --json, that somebody made on the machine",
             "FILES");
  list.text("data-sheet", command.options.data_sheet,
            "Named device whose memory, overlap and optimizer stand in the profile; default: the "
            "one that the outputs name",
            "DEVICE");
  list.count("devices-per-node", command.options.devices_per_node, {0, kMostDevices},
             "Of a node; 0: as many as the outputs list on a host");
  return list;
}

int profile_from_nccl_tests(const NcclTestsCommand& command, const std::string& output) {
  std::vector<profiles::NcclTestRun> runs;
  for (const std::string& file : command.files) {
    for (profiles::NcclTestRun& run : profiles::read_nccl_tests(file)) {
      runs.push_back(std::move(run));
    }
  }
  const profiles::HardwareProfile profile =
      profiles::hardware_from_nccl_tests(runs, command.options);
  profiles::write_hardware_profile(output, profile);
  std::printf("%s\n  %s, %d ranks, %d on a node\n",
              profiles::measured_curves_table(profile).c_str(), profile.device.c_str(),
              profile.world_size, profile.ranks_on_node());
  for (const std::string& text : profile.extrapolated) std::printf("  %s\n", text.c_str());
  std::printf("  written to %s\n", output.c_str());
  return 0;
}

void add_nccl_tests_command(CommandLine& line) {
  struct Command {
    NcclTestsCommand tests;
    std::string output = "hardware.json";
  };
  const auto command = std::make_shared<Command>();
  constexpr const char* kExamples =
      "Examples:\n"
      "  galvatron profile-hardware --from-nccl-tests *_perf.txt --output hardware.json";
  CLI::App& app = line.add("profile-hardware", kExamples, [command] {
    require_writable(command->output, "--output");
    return profile_from_nccl_tests(command->tests, command->output);
  });
  OptionList list = nccl_tests_options(command->tests);
  list.group("Output");
  list.path("output", command->output, "Profile to write (JSON)");
  add_options(app, list);
}

}  // namespace galvatron::cli
