#include "galvatron/comm/host_launch.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "galvatron/base/error.h"
#include "galvatron/base/shell_word.h"
#include "galvatron/comm/address.h"
#include "galvatron/comm/host_job.h"
#include "galvatron/comm/host_process.h"
#include "galvatron/comm/rank_failure.h"
#include "galvatron/comm/signal_queue.h"
#include "galvatron/comm/stop_signals.h"

namespace galvatron::comm {
namespace {

using Clock = std::chrono::steady_clock;

// After the first host's failure the others usually end by themselves, with better last words.
constexpr std::chrono::seconds kHostGrace{10};
// After SIGTERM: launchers there give their ranks time of their own.
constexpr std::chrono::seconds kHostTermGrace{15};
constexpr int kSshFailed = 255, kCannotRun = 126, kNotFound = 127;

std::string without_user(const std::string& host) { return host.substr(host.find('@') + 1); }

// What ssh connects to: its own configuration may call it otherwise.
std::string name_of_host(const std::vector<std::string>& ssh, const std::string& host) {
  std::vector<std::string> command = ssh;
  command.insert(command.end(), {"-G", host});
  const std::string text = output_of(command), key = "hostname ";
  std::size_t at = text.starts_with(key) ? 0 : text.find("\n" + key);
  if (at == std::string::npos) return without_user(host);
  at = text.find(key, at) + key.size();
  return text.substr(at, text.find('\n', at) - at);
}

// By which all hosts can reach the first one.
std::string address_of_first_host(const HostLaunch& launch) {
  if (!launch.master_addr.empty()) return read_host(launch.master_addr, "--master-addr");
  const std::string first = name_of_host(launch.ssh, launch.hosts[0].name);
  const bool all_loopback = std::all_of(
      launch.hosts.begin(), launch.hosts.end(),
      [&](const Host& host) { return is_loopback(name_of_host(launch.ssh, host.name)); });
  if (all_loopback) return first;
  if (is_loopback(first)) {
    throw ConfigError("[hostfile] the first host is ", first, ", by which ", launch.hosts[1].name,
                      " does not reach it: write its name in the network, or give --master-addr");
  }
  // A name of this machine may stand for 127.0.1.1 here.
  return is_own_address(first) ? reachable_address(first) : first;
}

// Options that the user gives win, because ssh takes the first of several. No terminal, no
// questions; a machine that is lost is noticed within a minute.
std::vector<std::string> ssh_command(const HostLaunch& launch, const std::string& host) {
  std::vector<std::string> command = launch.ssh;
  command.insert(command.end(), {"-T", "-oBatchMode=yes", "-oConnectTimeout=20",
                                 "-oServerAliveInterval=15", "-oServerAliveCountMax=3", host,
                                 std::string("exec env ") + kHostJobVariable + "=1 " +
                                     shell_word(launch.binary) + " " + launch.arguments.at(0)});
  return command;
}

class RemoteHost {
 public:
  RemoteHost(const std::string& name, const std::vector<std::string>& command, const HostJob& job,
             const sigset_t& mask)
      : name_(name), is_first_(job.first_rank == 0), process_(command, mask) {
    process_.say(to_message(job));
  }

  const std::string& name() const { return name_; }
  const std::string& last_line() const { return last_line_; }
  int port() const { return port_; }
  HostProcess& process() { return process_; }

  void pass_output_on() {
    for (const std::string& line : process_.output_lines()) {
      const int port = is_first_ && port_ == 0 ? port_of_store_line(line) : 0;
      if (port != 0) {
        port_ = port;
      } else {
        std::fprintf(stdout, "%s%s\n", is_first_ ? "" : (name_ + ": ").c_str(), line.c_str());
      }
    }
    std::fflush(stdout);
    for (const std::string& line : process_.error_lines()) {
      std::fprintf(stderr, "%s: %s\n", name_.c_str(), line.c_str());
      last_line_ = line;
    }
  }

 private:
  std::string name_;
  bool is_first_;
  int port_ = 0;  // of the store; 0: not said yet
  std::string last_line_;
  HostProcess process_;
};

class HostLauncher {
 public:
  explicit HostLauncher(const HostLaunch& launch)
      : launch_(launch), address_(address_of_first_host(launch)), port_(launch.master_port) {
    signal(SIGPIPE, SIG_IGN);  // a host that is gone is noticed by its end
    start_host();
  }

  LaunchEnd run() {
    while (any_running()) {
      poll_once();
      handle_signals();
      for (auto& host : hosts_) host->pass_output_on();
      start_others();
      reap();
      enforce_deadline();
    }
    for (auto& host : hosts_) host->pass_output_on();
    return {report(), -1, stopped_by_.has_value()};
  }

 private:
  void start_host() {
    const std::size_t index = hosts_.size();
    const auto first = std::accumulate(launch_.ranks.begin(), launch_.ranks.begin() + index, 0);
    const int all = std::accumulate(launch_.ranks.begin(), launch_.ranks.end(), 0);
    const HostJob job{launch_.version,
                      std::filesystem::current_path(),
                      launch_.arguments,
                      environment_for_hosts(),
                      launch_.ranks[index],
                      first,
                      all,
                      address_,
                      port_};
    const std::string& name = launch_.hosts[index].name;
    hosts_.push_back(std::make_unique<RemoteHost>(name, ssh_command(launch_, name), job,
                                                  signals_.mask_before()));
  }

  // Once the first one has said where the store is.
  void start_others() {
    if (hosts_[0]->port() == 0 || ending()) return;
    port_ = hosts_[0]->port();
    while (hosts_.size() < launch_.hosts.size()) start_host();
  }

  bool ending() const { return deadline_ || stopped_by_; }

  bool any_running() const {
    return std::any_of(hosts_.begin(), hosts_.end(),
                       [](const auto& host) { return host->process().running(); });
  }

  void poll_once() {
    std::vector<pollfd> fds;
    for (const auto& host : hosts_) {
      for (const int fd : {host->process().output(), host->process().errors()}) {
        if (fd >= 0) fds.push_back({fd, POLLIN, 0});
      }
    }
    signals_.wait(std::move(fds), deadline_);
  }

  void handle_signals() {
    while (const std::optional<int> signal = signals_.next()) {
      if (*signal == SIGCHLD) continue;
      for (auto& host : hosts_) host->process().say(signal_line(*signal));
      stopped_by_ = *signal;
    }
  }

  void reap() {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (!hosts_[i]->process().reap()) continue;
      const int status = hosts_[i]->process().status();
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
      if (code == kExitResumable) resumable_ = true;
      if (code == 0 || code == kExitResumable) continue;
      if (!told_to_end_) failed_.push_back(i);
      // Where no rank has run, nobody else has better words.
      const bool never_ran = code == kSshFailed || code == kCannotRun || code == kNotFound;
      if (!deadline_) deadline_ = Clock::now() + (never_ran ? std::chrono::seconds(0) : kHostGrace);
    }
  }

  // SIGTERM, then the end of their standard input and of ssh.
  void enforce_deadline() {
    if (!deadline_ || Clock::now() < *deadline_) return;
    for (auto& host : hosts_) {
      if (!told_to_end_) host->process().say(signal_line(SIGTERM));
      if (told_to_end_) host->process().kill_it();
    }
    told_to_end_ = true;
    deadline_ = Clock::now() + kHostTermGrace;
  }

  int report() const {
    if (failed_.empty()) return resumable_ ? kExitResumable : 0;
    if (stopped_by_) return 128 + *stopped_by_;
    std::vector<RankFailure> failures;
    for (const std::size_t i : failed_) {
      failures.push_back(
          {static_cast<int>(i), hosts_[i]->process().status(), hosts_[i]->last_line()});
    }
    const RankFailure& cause = root_cause(failures);
    const std::string sentence = describe(cause);
    if (!sentence.empty()) std::fprintf(stderr, "galvatron: %s\n", sentence.c_str());
    const int code = exit_code(cause);
    return code == kSshFailed ? 1 : code;
  }

  std::string describe(const RankFailure& cause) const {
    const std::string& host = hosts_[cause.rank]->name();
    const int code = exit_code(cause);
    if (code == 2) return "";  // bad input, which has been said
    if (code == kSshFailed) {
      return detail::concat("host ", host, " cannot be reached by ssh, or was lost (",
                            cause.said.empty() ? "it said nothing" : cause.said, "); does 'ssh ",
                            host, " true' work without a question?");
    }
    if (code == kNotFound || code == kCannotRun) {
      return detail::concat("host ", host, " cannot run ", launch_.binary,
                            ": install the same galvatron at the same place on all hosts");
    }
    std::string sentence = detail::concat("host ", host, " failed with exit code ", code);
    if (hosts_.size() > 1) sentence += "; the other hosts were ended";
    return cause.said.empty() ? sentence : sentence + ". Its last words: " + cause.said;
  }

  const HostLaunch& launch_;
  SignalQueue signals_;
  std::string address_;
  int port_;
  std::vector<std::unique_ptr<RemoteHost>> hosts_;
  std::vector<std::size_t> failed_;  // by themselves, in order of time
  std::optional<Clock::time_point> deadline_;
  std::optional<int> stopped_by_;
  bool told_to_end_ = false;
  bool resumable_ = false;
};

}  // namespace

LaunchEnd launch_on_hosts(const HostLaunch& launch) {
  GALV_CHECK(!launch.hosts.empty() && launch.hosts.size() == launch.ranks.size());
  return HostLauncher(launch).run();
}

}  // namespace galvatron::comm
