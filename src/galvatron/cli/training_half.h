// The training half of the binary: a shared library that is loaded when a command needs it, so that
// planning and --help start without torch.
#pragma once
#include <string>
#include <vector>

namespace galvatron::cli {

inline constexpr const char* kTrainingLibrary = "libgalvatron_training.so";
inline constexpr const char* kTrainingEntry = "galvatron_training_main";
// What the library exports under that name: runs the command line of the process, failures
// included, and returns the exit code. `version`: of the binary that asks, which must be the
// library's own.
using TrainingEntry = int(const char* version, int argc, const char* const* argv);

// Runs `arguments`, of which the first is the command. ConfigError where the library is not there
// or cannot be loaded.
int run_in_training_half(const std::string& command, const std::vector<std::string>& arguments);

}  // namespace galvatron::cli
