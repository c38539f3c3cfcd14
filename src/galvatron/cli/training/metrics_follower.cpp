#include "galvatron/cli/training/metrics_follower.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/train/python_tool.h"

namespace galvatron::cli {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kPause{20};
constexpr int kNice = 10;

std::vector<std::string> find_tool() {
  return train::find_python_tool("galvatron-metrics", "galvatron.metrics");
}

// The run's folder where its metrics lie there, else their file.
std::string place_of(const train::TrainJob& job) {
  return job.metrics.empty() ? job.run_dir : job.metrics;
}

const char* option_of(const FollowerOptions& options) {
  return options.tensorboard.empty() ? "--wandb" : "--tensorboard";
}

// In a session of its own, so that Ctrl-C reaches the run alone; its messages go where ours do.
pid_t spawn(const std::vector<std::string>& command, int input) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t process = -1;
  const int error = posix_spawnp(&process, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    errno = error;
    return -1;
  }
  setpriority(PRIO_PROCESS, static_cast<id_t>(process), kNice);  // steps come first
  return process;
}

}  // namespace

void check_followers(const FollowerOptions& options, const train::TrainJob& job) {
  if (!options.any()) return;
  if (place_of(job).empty()) {
    throw ConfigError(option_of(options),
                      " reads the metrics that the run writes: give --run-dir "
                      "(or --metrics FILE) too");
  }
  if (!find_tool().empty()) return;
  throw ConfigError(option_of(options),
                    " needs the Python package, and there is no galvatron-metrics in PATH: pip "
                    "install 'galvatron[metrics]'");
}

MetricsFollowers::MetricsFollowers(const FollowerOptions& options, const train::TrainJob& job,
                                   std::function<void(const std::string&)> note)
    : note_(std::move(note)) {
  const std::string place = place_of(job);
  if (!options.tensorboard.empty())
    start("TensorBoard", {"tensorboard", place, "--output", options.tensorboard});
  if (!options.wandb.empty())
    start("Weights & Biases", {"wandb", place, "--project", options.wandb});
}

void MetricsFollowers::start(const std::string& what, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = find_tool();
  command.insert(command.end(), arguments.begin(), arguments.end());
  for (const char* word : {"--follow", "--until-input-ends", "--quiet"}) command.emplace_back(word);
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    note_(fmt::format("{} hears nothing of this run: {}", what, std::strerror(errno)));
    return;
  }
  const pid_t process = spawn(command, ends[0]);
  const int error = errno;
  close(ends[0]);
  if (process < 0) {
    close(ends[1]);
    note_(fmt::format("{} hears nothing of this run: cannot start {}: {}", what, command[0],
                      std::strerror(error)));
    return;
  }
  followers_.push_back({what, process, ends[1], false});
}

bool MetricsFollowers::has_ended(Follower& follower) {
  if (follower.ended) return true;
  int status = 0;
  const pid_t found = waitpid(follower.process, &status, WNOHANG);
  if (found == 0 || (found < 0 && errno == EINTR)) return false;
  follower.ended = true;
  if (found < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return true;
  const std::string how = WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                                            : fmt::format("signal {}", WTERMSIG(status));
  note_(fmt::format(
      "{} hears no more of this run: galvatron-metrics ended ({}); training is not disturbed, and "
      "galvatron-metrics tells it all later",
      follower.what, how));
  return true;
}

void MetricsFollowers::look_after() {
  for (Follower& follower : followers_) has_ended(follower);
}

void MetricsFollowers::finish() {
  for (Follower& follower : followers_) close(std::exchange(follower.input, -1));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (Follower& follower : followers_) {
    while (!has_ended(follower) && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(kPause);
    if (!follower.ended)
      note_(fmt::format("{} is still being told of the run, by process {}", follower.what,
                        follower.process));
  }
  followers_.clear();
}

MetricsFollowers::~MetricsFollowers() {
  for (const Follower& follower : followers_) close(follower.input);
}

}  // namespace galvatron::cli
