// Where the binary enters the training half.
#include <filesystem>

#include "galvatron/base/error.h"
#include "galvatron/cli/training/commands.h"
#include "galvatron/cli/training_half.h"
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/host_job.h"
#include "galvatron/comm/launch.h"
#include "galvatron/runtime/memory_meter.h"

namespace galvatron::cli {
namespace {

int run_training_command(const std::string& version, int argc, const char* const* argv) {
  if (version != GALVATRON_VERSION) {
    throw ConfigError(kTrainingLibrary, " has version ", GALVATRON_VERSION, ", the binary ",
                      version, "; build or install both together");
  }
  comm::prepare_process();
  if (comm::is_host_job()) {
    return comm::run_host_job(std::filesystem::read_symlink("/proc/self/exe"), GALVATRON_VERSION);
  }
  runtime::MemoryMeter::install();
  CommandLine line;
  add_profile_hardware_command(line);
  add_profile_model_command(line);
  add_train_command(line);
  add_evaluate_command(line);
  add_export_command(line);
  return line.run(argc, argv);
}

}  // namespace
}  // namespace galvatron::cli

extern "C" __attribute__((visibility("default"))) int galvatron_training_main(
    const char* version, int argc, const char* const* argv) {
  return galvatron::cli::run_guarded(
      [&] { return galvatron::cli::run_training_command(version, argc, argv); },
      galvatron::comm::short_reason);
}
