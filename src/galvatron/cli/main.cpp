// The binary: every failure ends here as one sentence and an exit code.
#include <cstdio>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#ifdef GALVATRON_TORCH
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/launch.h"
#include "galvatron/runtime/memory_meter.h"
#endif

namespace galvatron::cli {
namespace {

void prepare() {
#ifdef GALVATRON_TORCH
  comm::prepare_process();
  runtime::MemoryMeter::install();
#endif
}

// In the order in which a user needs them.
void add_commands(CommandLine& line) {
#ifdef GALVATRON_TORCH
  add_profile_hardware_command(line);
  add_profile_model_command(line);
#endif
  add_search_command(line);
#ifdef GALVATRON_TORCH
  add_train_command(line);
#endif
  add_simulate_command(line);
}

std::string reason(const std::exception& error) {
#ifdef GALVATRON_TORCH
  return comm::short_reason(error);
#else
  return error.what();
#endif
}

int fail(int exit_code, const std::string& sentence) {
  std::fflush(stdout);
  std::fprintf(stderr, "galvatron: error: %s\n", sentence.c_str());
  return exit_code;
}

int run(int argc, const char* const* argv) {
  try {
    prepare();
    CommandLine line;
    add_commands(line);
    return line.run(argc, argv);
  } catch (const ConfigError& error) {
    return fail(kExitBadInput, error.what());
  } catch (const RuntimeFailure& error) {
    return fail(kExitRuntimeFailure, error.what());
  } catch (const InternalError& error) {
    return fail(kExitInternalError, error.what());
  } catch (const std::exception& error) {
    return fail(kExitInternalError, reason(error));
  }
}

}  // namespace
}  // namespace galvatron::cli

int main(int argc, char** argv) { return galvatron::cli::run(argc, argv); }
