#include "galvatron/comm/host_process.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/error.h"

extern char** environ;

namespace galvatron::comm {
namespace {

struct Pipe {
  int read = -1, write = -1;
};

Pipe make_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw RuntimeFailure("cannot open a pipe: ", std::strerror(errno));
  }
  return {ends[0], ends[1]};
}

// Children hear the signals that `mask` lets through, and die of a closed pipe.
pid_t spawn(const std::vector<std::string>& command, const sigset_t& mask,
            const std::array<int, 3>& streams) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 0; stream < 3; ++stream) {
    posix_spawn_file_actions_adddup2(&actions, streams[stream], stream);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw RuntimeFailure("cannot start ", command[0], ": ", std::strerror(error));
  }
  return pid;
}

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

}  // namespace

HostProcess::HostProcess(const std::vector<std::string>& command, const sigset_t& mask) {
  Pipe input = make_pipe(), output = make_pipe(), errors = make_pipe();
  input_ = input.write;
  output_ = output.read;
  errors_ = errors.read;
  pid_ = spawn(command, mask, {input.read, output.write, errors.write});
  for (int* end : {&input.read, &output.write, &errors.write}) close_fd(*end);
  for (const int end : {output_, errors_}) fcntl(end, F_SETFL, O_NONBLOCK);
}

HostProcess::~HostProcess() {
  if (running()) {
    kill_it();
    waitpid(pid_, nullptr, 0);
  }
  for (int* end : {&input_, &output_, &errors_}) close_fd(*end);
}

void HostProcess::say(const std::string& text) {
  std::size_t done = 0;
  while (input_ >= 0 && done < text.size()) {
    const ssize_t count = write(input_, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) return close_input();
    if (count > 0) done += static_cast<std::size_t>(count);
  }
}

void HostProcess::close_input() { close_fd(input_); }

void HostProcess::kill_it() const {
  if (running()) kill(pid_, SIGKILL);
}

bool HostProcess::reap() {
  int status = 0;
  if (!running() || waitpid(pid_, &status, WNOHANG) != pid_) return false;
  status_ = status;
  ended_ = true;
  return true;
}

std::vector<std::string> HostProcess::lines(int& fd, std::string& rest) {
  std::vector<std::string> whole;
  std::array<char, 4096> buffer{};
  while (fd >= 0) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count > 0) {
      rest.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      close_fd(fd);
    } else if (errno != EINTR) {
      break;
    }
  }
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
    const bool has_return = end > 0 && rest[end - 1] == '\r';  // ssh's own lines
    whole.push_back(rest.substr(0, has_return ? end - 1 : end));
    rest.erase(0, end + 1);
  }
  if (fd < 0 && !rest.empty()) whole.push_back(std::exchange(rest, ""));
  return whole;
}

std::string output_of(const std::vector<std::string>& command) {
  sigset_t none;
  sigemptyset(&none);
  HostProcess process(command, none);
  process.close_input();
  std::string text;
  while (process.output() >= 0) {
    std::array<pollfd, 2> ready{{{process.output(), POLLIN, 0}, {process.errors(), POLLIN, 0}}};
    poll(ready.data(), ready.size(), -1);
    for (const std::string& line : process.output_lines()) text += line + "\n";
    process.error_lines();
  }
  return text;
}

}  // namespace galvatron::comm
