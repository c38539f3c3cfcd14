// What the launcher on one machine tells that on another over ssh's standard input: the job there,
// then a line for each signal. Nothing of it is an argument: no shell on the way reads it,
// whichever the user has, no byte of a path is lost, and no other user of the machine sees it.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace galvatron::comm {

struct HostJob {
  std::string version;    // of the binary that asks, which must be that of the other
  std::string directory;  // to work in
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;  // beside what ssh sets there
  int nproc = 1;
  int first_rank = 0;
  int world_size = 1;
  std::string master_addr;
  int master_port = 0;  // 0, on the first host: any free one, which it says
};

// A line with the number of bytes that follow, then words that end in a zero byte.
std::string to_message(const HostJob& job);
// ConfigError where `words`, without that line, are none.
HostJob host_job_from(const std::string& words);

// Of this process, what ranks on other machines are to have too: settings of libraries.
std::map<std::string, std::string> environment_for_hosts();

// "signal 15"
std::string signal_line(int number);
// Those of the lines that have come on `fd`; nullopt at its end. `rest`: of a line that has not
// come whole yet.
std::optional<std::vector<int>> read_signals(int fd, std::string& rest);

// What the first host says on standard output when it serves the store; 0: another line.
std::string store_line(int port);
int port_of_store_line(const std::string& line);

// Set by the launcher where the job comes from standard input.
inline constexpr const char* kHostJobVariable = "GALVATRON_HOST_JOB";
bool is_host_job();

// Reads the job from standard input and starts its ranks by `binary`, which has `version`, here.
// They end with standard input. Exit code.
int run_host_job(const std::string& binary, const std::string& version);

}  // namespace galvatron::comm
