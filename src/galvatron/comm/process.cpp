#include <array>
#include <cstdlib>
#include <exception>
#include <string>

#include <unistd.h>

#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/launch.h"

namespace galvatron::comm {
namespace {

constexpr int kInternalErrorExit = 70;

// Gloo throws out of its I/O thread when a message's size is not what its receiver expects.
[[noreturn]] void report_and_exit() {
  std::string reason = "no exception";
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::exception& error) {
    reason = short_reason(error);
  } catch (...) {
    reason = "an unknown exception";
  }
  const char* rank = std::getenv("RANK");
  const std::string message = std::string("galvatron: rank ") + (rank ? rank : "0") +
                              " ended because a thread failed: " + reason +
                              " (do all ranks run the same plan?)\n";
  if (write(STDERR_FILENO, message.data(), message.size()) < 0) _exit(kInternalErrorExit);
  _exit(kInternalErrorExit);
}

}  // namespace

void prepare_process() {
  // Gloo ranks as threads race in the flight recorder's map.
  setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/0);
  setenv("TORCH_CPP_LOG_LEVEL", "ERROR", /*overwrite=*/0);
  std::set_terminate(report_and_exit);
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

}  // namespace galvatron::comm
