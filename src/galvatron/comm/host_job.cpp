#include "galvatron/comm/host_job.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include <signal.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/environment_variable.h"
#include "galvatron/comm/launch.h"

extern char** environ;

namespace galvatron::comm {
namespace {

constexpr const char* kStoreLine = "galvatron: the store is at port ";

// No more than asked for: what follows in the pipe is of signals.
std::string read_bytes(int fd, std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = read(fd, bytes.data() + done, count - done);
    if (got == 0 || (got < 0 && errno != EINTR)) break;
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::size_t read_size(int fd) {
  constexpr std::size_t kMostDigits = 9;
  std::string digits;
  for (std::string next = read_bytes(fd, 1); next != "\n" && !next.empty();
       next = read_bytes(fd, 1)) {
    digits += next;
    if (digits.size() > kMostDigits) return 0;
  }
  return static_cast<std::size_t>(std::atoll(digits.c_str()));
}

bool is_for_hosts(const std::string& name) {
  constexpr std::string_view kPrefixes[] = {
      "NCCL_", "GLOO_", "TORCH_", "OMP_",           "MKL_",           "KMP_",
      "HF_",   "UCX_",  "FI_",    "XDG_CACHE_HOME", "LD_LIBRARY_PATH"};
  for (const std::string_view prefix : kPrefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

void enter(const HostJob& job) {
  for (const auto& [name, value] : job.environment) setenv(name.c_str(), value.c_str(), 1);
  unsetenv(kHostJobVariable);
  std::error_code error;
  std::filesystem::current_path(job.directory, error);
  if (error) {
    throw ConfigError("[hostfile] ", host_name(), " has no folder ", job.directory, " (",
                      error.message(), "): all hosts must see the folder that you start in");
  }
}

}  // namespace

std::string to_message(const HostJob& job) {
  std::vector<std::string> words{job.version, job.directory, job.master_addr};
  for (const int number : {job.nproc, job.first_rank, job.world_size, job.master_port,
                           static_cast<int>(job.arguments.size())}) {
    words.push_back(std::to_string(number));
  }
  words.insert(words.end(), job.arguments.begin(), job.arguments.end());
  for (const auto& [name, value] : job.environment) words.push_back(name + "=" + value);
  std::string body;
  for (const std::string& word : words) body.append(word).push_back('\0');
  return std::to_string(body.size()) + "\n" + body;
}

HostJob host_job_from(const std::string& text) {
  std::size_t at = 0;
  const auto word = [&] {
    const std::size_t end = text.find('\0', at);
    if (end == std::string::npos) {
      throw ConfigError("[hostfile] what arrived at ", host_name(),
                        " is no job of galvatron's: is something else than ssh in between?");
    }
    return text.substr(std::exchange(at, end + 1), end - at);
  };
  HostJob job;
  for (std::string* field : {&job.version, &job.directory, &job.master_addr}) *field = word();
  int arguments = 0;
  for (int* number : {&job.nproc, &job.first_rank, &job.world_size, &job.master_port, &arguments}) {
    *number = std::atoi(word().c_str());
  }
  for (int i = 0; i < arguments; ++i) job.arguments.push_back(word());
  while (at < text.size()) {
    const std::string entry = word();
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos)
      job.environment[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return job;
}

std::map<std::string, std::string> environment_for_hosts() {
  std::map<std::string, std::string> chosen;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (is_for_hosts(text.substr(0, equals))) {
      chosen[text.substr(0, equals)] = text.substr(equals + 1);
    }
  }
  return chosen;
}

std::string signal_line(int number) { return "signal " + std::to_string(number) + "\n"; }

std::optional<std::vector<int>> read_signals(int fd, std::string& rest) {
  std::array<char, 256> buffer{};
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  if (count == 0) return std::nullopt;
  std::vector<int> signals;
  if (count < 0) return signals;
  rest.append(buffer.data(), static_cast<std::size_t>(count));
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
    int number = 0;
    if (std::sscanf(rest.c_str(), "signal %d", &number) == 1) signals.push_back(number);
    rest.erase(0, end + 1);
  }
  return signals;
}

std::string store_line(int port) { return std::string(kStoreLine) + std::to_string(port) + "\n"; }

int port_of_store_line(const std::string& line) {
  const std::string_view start = kStoreLine;
  return line.starts_with(start) ? std::atoi(line.c_str() + start.size()) : 0;
}

bool is_host_job() { return variable_text(kHostJobVariable).has_value(); }

int run_host_job(const std::string& binary, const std::string& version) {
  const HostJob job = host_job_from(read_bytes(STDIN_FILENO, read_size(STDIN_FILENO)));
  if (job.version != version) {
    throw ConfigError("[hostfile] ", host_name(), " has galvatron ", version,
                      ", but the job comes from ", job.version, ": install the same one");
  }
  enter(job);
  signal(SIGPIPE, SIG_IGN);  // nobody may hear them any more while they save
  LocalLaunch launch;
  launch.nproc = job.nproc;
  launch.first_rank = job.first_rank;
  launch.world_size = job.world_size;
  launch.master_addr = job.master_addr;
  launch.master_port = job.master_port;
  launch.control = STDIN_FILENO;
  launch.command = {binary};
  launch.command.insert(launch.command.end(), job.arguments.begin(), job.arguments.end());
  return launch_local_ranks(launch).code;
}

}  // namespace galvatron::comm
