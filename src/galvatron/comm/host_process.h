// A job on another machine, through ssh.
#pragma once
#include <string>
#include <vector>

#include <signal.h>
#include <sys/types.h>

namespace galvatron::comm {

// Starts `command` with pipes on its three streams. It has a process group of its own: what a
// terminal sends us is passed on through its standard input.
class HostProcess {
 public:
  // `mask`: signals that it begins with blocked. RuntimeFailure where it cannot be started.
  HostProcess(const std::vector<std::string>& command, const sigset_t& mask);
  ~HostProcess();  // kills it if it runs
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  bool running() const { return pid_ > 0 && !ended_; }
  int status() const { return status_; }  // of waitpid
  // Of its standard output and standard error; -1: closed.
  int output() const { return output_; }
  int errors() const { return errors_; }

  void say(const std::string& text);  // into its standard input
  void close_input();
  void kill_it() const;
  bool reap();  // true when it has just ended

  // Whole lines of what has come since; at the end of the stream, its last one.
  std::vector<std::string> output_lines() { return lines(output_, output_rest_); }
  std::vector<std::string> error_lines() { return lines(errors_, errors_rest_); }

 private:
  static std::vector<std::string> lines(int& fd, std::string& rest);

  pid_t pid_ = -1;
  int input_ = -1, output_ = -1, errors_ = -1;
  std::string output_rest_, errors_rest_;
  bool ended_ = false;
  int status_ = 0;
};

// What `command` writes on standard output; "" where it cannot be started or fails.
std::string output_of(const std::vector<std::string>& command);

}  // namespace galvatron::comm
