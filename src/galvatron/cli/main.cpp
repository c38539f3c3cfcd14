// The binary. It holds the planning half; commands of the training half load that first.
#include "galvatron/cli/commands.h"
#include "galvatron/cli/nccl_tests.h"
#include "galvatron/cli/training_half.h"

namespace galvatron::cli {
namespace {

int run(int argc, const char* const* argv) {
  CommandLine line;
  add_models_command(line);
  add_search_command(line);
  add_simulate_command(line);
  add_check_command(line);
  add_convert_command(line);
  add_clusters_command(line);
  add_sweep_command(line);
  add_visualize_command(line);
  add_report_command(line);
  add_nccl_tests_command(line);
  line.keep("profile-hardware", kFromNcclTests);
  for (const CommandEntry& entry : kCommands) {
    if (entry.trains) {
      line.forward(entry.name,
                   [&entry, &line] { return run_in_training_half(entry.name, line.arguments()); });
    }
  }
  return line.run(argc, argv);
}

}  // namespace
}  // namespace galvatron::cli

int main(int argc, char** argv) {
  return galvatron::cli::run_guarded([&] { return galvatron::cli::run(argc, argv); },
                                     [](const std::exception& error) { return error.what(); });
}
