#include "galvatron/train/save_lock.h"

#include <cerrno>
#include <fstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kLockFile = ".lock";
constexpr std::chrono::milliseconds kPause{50};

// False where another process still holds it at the end of `patience`.
bool lock_within(int file, std::chrono::milliseconds patience) {
  const Clock::time_point end = Clock::now() + patience;
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return true;
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace

SaveLock::SaveLock(const fs::path& folder, std::chrono::milliseconds patience) {
  constexpr mode_t kMode = 0666;
  const fs::path path = folder / kLockFile;
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode);
  if (file_ < 0) return;  // a folder that cannot be written is refused elsewhere
  if (!lock_within(file_, patience)) {
    const std::string holder = first_line(path);
    close(file_);
    throw ConfigError("[train] another run saves into --save ", folder.string(), " now",
                      holder.empty() ? "" : " (" + holder + ")",
                      ": wait for its end, or name another folder");
  }
  const std::string self = fmt::format("process {} on {}\n", getpid(), comm::host_name());
  if (ftruncate(file_, 0) != 0 || write(file_, self.data(), self.size()) < 0) return;
}

SaveLock::~SaveLock() {
  if (file_ >= 0) close(file_);
}

}  // namespace galvatron::train
