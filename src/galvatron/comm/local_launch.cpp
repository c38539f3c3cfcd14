#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/host_job.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/pinning.h"
#include "galvatron/comm/rank_failure.h"
#include "galvatron/comm/rank_life.h"
#include "galvatron/comm/signal_queue.h"
#include "galvatron/comm/stop_signals.h"
#include "galvatron/comm/store.h"

extern char** environ;

namespace galvatron::comm {
namespace {

using Clock = std::chrono::steady_clock;

// After the first failure the others usually end by themselves, with better last words than a kill
// leaves.
constexpr std::chrono::seconds kGrace{3};
// After a SIGTERM, before a SIGKILL.
constexpr std::chrono::seconds kTermGrace{2};
// Ranks that were asked to stop may want to save a checkpoint. Those who beat have as long again.
constexpr std::chrono::seconds kStopGrace{30};
constexpr std::chrono::seconds kStoreTimeout{45};
// With a rank that was stopped (SIGSTOP), and that others may not have met yet.
constexpr std::chrono::seconds kStoppedPatience{45};
constexpr std::size_t kKeptOutput = 64 * 1024;
constexpr int kMaxLocalRanks = 4096;

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

// The environment of one rank: ours, with the rank's variables in place of what was there.
std::vector<std::string> rank_environment(int local_rank, const LocalLaunch& launch, int port) {
  const int nproc = launch.nproc;
  std::vector<std::pair<std::string, std::string>> set{
      {"RANK", std::to_string(launch.first_rank + local_rank)},
      {"WORLD_SIZE", std::to_string(std::max(launch.world_size, nproc))},
      {"LOCAL_RANK", std::to_string(local_rank)},
      {"LOCAL_WORLD_SIZE", std::to_string(nproc)},
      {"MASTER_ADDR", launch.master_addr},
      {"MASTER_PORT", std::to_string(port)},
      {"GALVATRON_LAUNCHER", "galvatron"},
  };
  if (!std::getenv("OMP_NUM_THREADS")) {
    set.emplace_back("OMP_NUM_THREADS", std::to_string(std::max(1, usable_cores() / nproc)));
    set.emplace_back(kThreadsVariable, "1");
  }
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    const bool replaced =
        std::any_of(set.begin(), set.end(), [&](const auto& pair) { return pair.first == name; });
    if (!replaced && name != "TORCHELASTIC_RESTART_COUNT") result.push_back(text);
  }
  for (const auto& [name, value] : set) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

// Between fork and exec: only calls that are safe while other threads of the parent may hold locks.
[[noreturn]] void become_rank(const std::vector<char*>& command,
                              const std::vector<char*>& environment, int output, bool has_terminal,
                              pid_t parent, const sigset_t& mask) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  if (!has_terminal) {
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
  }
  if (output >= 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
  }
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execvpe(command[0], command.data(), environment.data());
  constexpr char kMessage[] = "the rank's binary cannot be started\n";
  if (write(STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) _exit(127);
  _exit(127);
}

class RankProcess {
 public:
  RankProcess(int local_rank, const LocalLaunch& launch, int port, const sigset_t& mask) {
    const int rank = launch.first_rank + local_rank;
    std::array<int, 2> ends{-1, -1};
    if (rank > 0 && pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw RuntimeFailure("cannot open a pipe for rank ", rank, ": ", std::strerror(errno));
    }
    const std::vector<std::string> strings = rank_environment(local_rank, launch, port);
    const std::vector<char*> environment = pointers(strings);
    const std::vector<char*> command = pointers(launch.command);
    const pid_t parent = getpid();
    pid_ = fork();
    const bool has_terminal = rank == 0 && launch.control < 0;
    if (pid_ == 0) become_rank(command, environment, ends[1], has_terminal, parent, mask);
    output_ = ends[0];
    if (ends[1] >= 0) close(ends[1]);
    if (output_ >= 0) fcntl(output_, F_SETFL, O_NONBLOCK);
    if (pid_ < 0) throw RuntimeFailure("cannot start rank ", rank, ": ", std::strerror(errno));
  }
  // A launch that fails half way leaves nobody behind.
  ~RankProcess() {
    if (running()) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close_output();
  }
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  bool running() const { return pid_ > 0 && !status_; }
  int output() const { return output_; }
  int status() const { return *status_; }
  const std::string& text() const { return text_; }

  void signal(int number) const {
    if (running()) kill(pid_, number);
  }

  // True when it has just ended.
  bool reap() {
    if (!running()) return false;
    int status = 0;
    while (running() && waitpid(pid_, &status, WNOHANG | WUNTRACED | WCONTINUED) == pid_) {
      if (WIFSTOPPED(status)) {
        stopped_until_ = Clock::now() + kStoppedPatience;
      } else if (WIFCONTINUED(status)) {
        stopped_until_.reset();
      } else {
        status_ = status;
      }
    }
    return !running();
  }

  // When patience with a rank that somebody has stopped (SIGSTOP) is over.
  std::optional<Clock::time_point> stopped_until() const {
    return running() ? stopped_until_ : std::nullopt;
  }

  void kill_stopped() {
    signal(SIGKILL);
    stopped_until_.reset();
  }

  // Keeps the end of what the rank says.
  void drain() {
    std::array<char, 4096> buffer{};
    while (output_ >= 0) {
      const ssize_t count = read(output_, buffer.data(), buffer.size());
      if (count > 0) {
        text_.append(buffer.data(), static_cast<std::size_t>(count));
        if (text_.size() > 2 * kKeptOutput) text_.erase(0, text_.size() - kKeptOutput);
      } else if (count == 0) {
        close_output();
      } else if (errno != EINTR) {
        return;
      }
    }
  }

 private:
  void close_output() {
    if (output_ >= 0) close(output_);
    output_ = -1;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  std::optional<int> status_;
  std::optional<Clock::time_point> stopped_until_;
  std::string text_;
};

bool is_resumable(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == kExitResumable; }

class Launcher {
 public:
  explicit Launcher(const LocalLaunch& launch)
      : first_rank_(launch.first_rank), control_(launch.control) {
    store_.port = launch.master_port;
    if (first_rank_ == 0) store_ = host_store(launch.master_port, kStoreTimeout);
    if (first_rank_ == 0 && control_ >= 0) {
      std::fputs(store_line(store_.port).c_str(), stdout);
      std::fflush(stdout);
    }
    for (int rank = 0; rank < launch.nproc; ++rank) {
      ranks_.push_back(
          std::make_unique<RankProcess>(rank, launch, store_.port, signals_.mask_before()));
    }
  }

  LaunchEnd run() {
    while (any_running()) {
      poll_once();
      handle_signals();
      handle_control();
      for (auto& rank : ranks_) rank->drain();
      reap();
      end_stopped();
      enforce_deadline();
    }
    for (auto& rank : ranks_) rank->drain();
    return report();
  }

 private:
  bool any_running() const {
    return std::any_of(ranks_.begin(), ranks_.end(),
                       [](const auto& rank) { return rank->running(); });
  }

  bool any_succeeded() const {
    return std::any_of(ranks_.begin(), ranks_.end(),
                       [](const auto& rank) { return rank->status() == 0; });
  }

  void poll_once() {
    std::vector<pollfd> fds;
    for (const auto& rank : ranks_) {
      if (rank->output() >= 0) fds.push_back({rank->output(), POLLIN, 0});
    }
    if (control_ >= 0) fds.push_back({control_, POLLIN, 0});
    signals_.wait(std::move(fds), next_deadline());
  }

  std::optional<Clock::time_point> next_deadline() const {
    std::optional<Clock::time_point> next = deadline_;
    for (const auto& rank : ranks_) {
      const auto until = rank->stopped_until();
      if (until && (!next || *until < *next)) next = until;
    }
    return next;
  }

  void handle_signals() {
    while (const std::optional<int> signal = signals_.next()) {
      if (*signal != SIGCHLD) pass_on(*signal);
    }
  }

  void pass_on(int signal) {
    signal_all(stopped_by_ ? SIGKILL : signal);  // who asks twice does not want to wait
    if (!stopped_by_) deadline_ = Clock::now() + kStopGrace;
    stopped_by_ = signal;
  }

  // Whoever started us has ended where this pipe has.
  void handle_control() {
    pollfd ready{control_, POLLIN, 0};
    if (control_ < 0 || poll(&ready, 1, 0) <= 0) return;
    const auto signals = read_signals(control_, control_text_);
    if (!signals) {
      control_ = -1;
      if (!stopped_by_) pass_on(SIGTERM);
      return;
    }
    for (const int signal : *signals) pass_on(signal);
  }

  void reap() {
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      if (!ranks_[i]->reap() || ranks_[i]->status() == 0) continue;
      if (is_resumable(ranks_[i]->status())) {
        resumable_ = true;
        if (!deadline_) deadline_ = Clock::now() + kStopGrace;  // the others leave with it
        continue;
      }
      const int status = ranks_[i]->status();
      // It was still loading, and knew nothing of the signal that we passed on.
      if (stopped_by_ && WIFSIGNALED(status) && WTERMSIG(status) == *stopped_by_) continue;
      if (!terminated_) failed_.push_back(static_cast<int>(i));
      if (!deadline_) deadline_ = Clock::now() + kGrace;
    }
  }

  // What is stopped hears no SIGTERM.
  void end_stopped() {
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      const auto until = ranks_[i]->stopped_until();
      if (!until || Clock::now() < *until) continue;
      std::fprintf(stderr, "rank %d was stopped, and not continued within %d s: the job ends\n",
                   first_rank_ + static_cast<int>(i), static_cast<int>(kStoppedPatience.count()));
      ranks_[i]->kill_stopped();
    }
  }

  void enforce_deadline() {
    if (!deadline_ || Clock::now() < *deadline_) return;
    if (stopped_by_ && failed_.empty() && !terminated_ && they_live()) {
      deadline_ = Clock::now() + kStopGrace;
      return;
    }
    signal_all(terminated_ ? SIGKILL : SIGTERM);
    terminated_ = true;
    deadline_ = Clock::now() + kTermGrace;
  }

  void signal_all(int number) {
    for (const auto& rank : ranks_) rank->signal(number);
  }

  // Whether any rank that still runs has given a sign of life since this was asked last.
  bool they_live() {
    if (!store_.store) return true;  // they are watched over where the store is
    std::int64_t beats = 0;
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      if (!ranks_[i]->running()) continue;
      const std::optional<Beat> beat = find_beat(*store_.store, static_cast<int>(i));
      if (beat) beats += beat->number + 1;
    }
    return std::exchange(beats_, beats) != beats;
  }

  LaunchEnd report() const {
    const bool stopped = stopped_by_.has_value();
    if (failed_.empty() && !terminated_) {
      const bool idle = stopped && !resumable_ && !any_succeeded();
      return {resumable_ ? kExitResumable : idle ? 128 + *stopped_by_ : 0, -1, stopped, idle};
    }
    if (stopped) return {128 + *stopped_by_, -1, true};
    std::vector<RankFailure> failures;
    for (int rank : failed_)
      failures.push_back({first_rank_ + rank, ranks_[rank]->status(), ranks_[rank]->text()});
    if (failures.empty()) return {resumable_ ? kExitResumable : 0, -1, false};
    const RankFailure& cause = root_cause(failures);
    const std::string sentence = describe_failure(cause, failures, last_signs(cause.rank));
    if (!sentence.empty()) std::fprintf(stderr, "%s\n", sentence.c_str());
    return {exit_code(cause), cause.rank, false};
  }

  LastSigns last_signs(int rank) const {
    if (!store_.store) return {};
    LastSigns signs{find_verdict(*store_.store), ""};
    if (const std::optional<Beat> beat = find_beat(*store_.store, rank))
      signs.last_seen = last_seen(*beat);
    return signs;
  }

  SignalQueue signals_;  // before the store, whose threads then leave these signals to us
  HostedStore store_;    // of machine 0; on others its port alone
  int first_rank_ = 0;
  int control_ = -1;
  std::string control_text_;  // half a line
  std::vector<std::unique_ptr<RankProcess>> ranks_;
  std::vector<int> failed_;  // by themselves, in order of time
  std::optional<Clock::time_point> deadline_;
  std::optional<int> stopped_by_;
  bool terminated_ = false;
  bool resumable_ = false;  // ranks that were stopped left a checkpoint
  std::int64_t beats_ = 0;  // of all that run, when they were counted last
};

}  // namespace

LaunchEnd launch_local_ranks(const LocalLaunch& launch) {
  GALV_CHECK(!launch.command.empty());
  if (launch.nproc < 1 || launch.nproc > kMaxLocalRanks) {
    throw ConfigError("[launch] cannot start ", launch.nproc, " local ranks: 1 to ",
                      kMaxLocalRanks);
  }
  return Launcher(launch).run();
}

}  // namespace galvatron::comm
