// The launcher with real processes: who fails, how it is told, and that nobody is left behind.
// Except where the case is their patience, these ranks wait for half an hour, so a test that ends
// shows that failures are noticed.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_paths.h"

namespace galvatron::comm {
namespace {

const std::string kProgram = (testing_paths::binary_dir() / "bin/comm_rank_program").string();

struct Outcome {
  int exit_code = -1;
  std::string output;  // of rank 0 and the launcher, both streams
};

Outcome shell(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), count);
  }
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Outcome launch(int nproc, const std::string& mode) {
  return shell(kProgram + " launch " + std::to_string(nproc) + " " + mode);
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

// Looks for the ranks themselves, whose command line starts with the program and the mode.
bool some_rank_runs(const std::string& mode) {
  const std::string start = kProgram + '\0' + mode + '\0';
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string command((std::istreambuf_iterator<char>(file)),
                              std::istreambuf_iterator<char>());
    if (command.starts_with(start)) return true;
  }
  return false;
}

// A listening socket on a free port of this machine.
class TakenPort {
 public:
  TakenPort() : fd_(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_any;
    socklen_t size = sizeof address;
    const bool bound = bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       listen(fd_, 1) == 0 &&
                       getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    EXPECT_TRUE(bound);
    port_ = ntohs(address.sin6_port);
  }
  ~TakenPort() { close(fd_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  std::string port() const { return std::to_string(port_); }

 private:
  int fd_;
  int port_ = 0;
};

TEST(LocalLaunch, RanksFindEachOther) {
  const Outcome outcome =
      shell("env -u OMP_NUM_THREADS taskset -c 0 " + kProgram + " launch 4 sum");
  EXPECT_EQ(outcome.exit_code, 0);
  // Only rank 0's output passes; each rank gets its share of the cores.
  EXPECT_EQ(outcome.output, "rank 0 speaks\nsum 10 of 4 threads 1\n");
}

TEST(LocalLaunch, OneRankIsALaunchToo) {
  const Outcome outcome = shell("OMP_NUM_THREADS=3 " + kProgram + " launch 1 sum");
  EXPECT_EQ(outcome.output, "rank 0 speaks\nsum 1 of 1 threads 3\n");
}

TEST(LocalLaunch, BadInputIsToldOnceWithExitCode2) {
  const Outcome outcome = launch(3, "refuses");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.output, "error: the batch of 7 cannot be split\n");
}

TEST(LocalLaunch, AKilledRankEndsTheJobAndIsNamed) {
  for (const char* rank : {"2", "0"}) {
    const Outcome outcome = launch(4, std::string("killed ") + rank);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(
        outcome.output.find(std::string("galvatron: rank ") + rank +
                            " was killed by signal 9 (Killed); the other ranks were ended; it "
                            "was last seen "),
        std::string::npos)
        << outcome.output;
  }
  EXPECT_FALSE(some_rank_runs("killed"));
}

TEST(LocalLaunch, ARankWithAReasonIsNamedNotItsEchoes) {
  const Outcome outcome = launch(4, "throws 3");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.output.find("galvatron: rank 3 failed with exit code 1; the other ranks were "
                                "ended. Its last words: error: the disk is full"),
            std::string::npos)
      << outcome.output;
}

TEST(LocalLaunch, OurOwnBugKeepsItsExitCode) {
  const Outcome outcome = launch(2, "bug 1");
  EXPECT_EQ(outcome.exit_code, 70);
  EXPECT_NE(outcome.output.find("step != 5 does not hold: a bug"), std::string::npos)
      << outcome.output;
}

TEST(LocalLaunch, RanksThatDisagreeAboutASizeEndWithAMessage) {
  const Outcome outcome = launch(2, "mismatch 1");
  EXPECT_EQ(outcome.exit_code, 70);
  EXPECT_NE(outcome.output.find("do all ranks run the same plan?"), std::string::npos)
      << outcome.output;
}

TEST(LocalLaunch, ARankThatLeavesEarlyEndsTheOthers) {
  const Outcome outcome = launch(3, "leaves 1");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.output.find("lost the connection to rank"), std::string::npos)
      << outcome.output;
}

TEST(LocalLaunch, ARankThatNeverJoinsIsNamed) {
  const Outcome outcome = launch(3, "absent 1");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.output.find("rank 1 of 3 did not join within 6 s"), std::string::npos)
      << outcome.output;
  EXPECT_FALSE(some_rank_runs("absent"));
}

// How often it is said that this rank shows no life and who waits for it.
std::ptrdiff_t count_no_life(const std::string& text, int rank) {
  std::array<char, 256> host{};
  EXPECT_EQ(gethostname(host.data(), host.size() - 1), 0);
  const std::regex sentence("rank " + std::to_string(rank) + " on " + host.data() +
                            " shows no life for \\d+ s and did not come to all_reduce \\d+ on ");
  return std::distance(std::sregex_iterator(text.begin(), text.end(), sentence),
                       std::sregex_iterator());
}

TEST(LocalLaunch, AStoppedRankEndsTheJob) {
  const Outcome outcome = launch(3, "stopped 2");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(count_no_life(outcome.output, 2), 1) << outcome.output;
  EXPECT_NE(outcome.output.find(" on ranks 0,1,2, where ranks 0,1 wait; it was last seen"),
            std::string::npos)
      << outcome.output;
  EXPECT_FALSE(some_rank_runs("stopped"));
}

// Its process answers, its work does not.
TEST(LocalLaunch, ARankThatHangsEndsTheJob) {
  for (const int rank : {1, 0}) {
    const Outcome outcome = launch(2, "sleeps " + std::to_string(rank));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(count_no_life(outcome.output, rank), 1) << outcome.output;
  }
  EXPECT_FALSE(some_rank_runs("sleeps"));
}

TEST(LocalLaunch, ARankThatComputesOrReadsForLongIsLeftAlone) {
  for (const char* mode : {"computes", "reads"}) {
    const Outcome outcome = launch(2, std::string(mode) + " 1");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_EQ(outcome.output, "");
  }
}

TEST(LocalLaunch, RanksThatWaitCrosswiseAreTold) {
  const Outcome outcome = launch(3, "deadlock");
  EXPECT_EQ(outcome.exit_code, 1);
  for (const char* words : {"no rank goes on for ", " s: rank 0 on ", " on ranks 0,1, rank 1 on "})
    EXPECT_EQ(count_of(outcome.output, words), 1) << outcome.output;
}

TEST(LocalLaunch, APortInUseIsOneSentence) {
  const TakenPort taken;
  const Outcome ours = shell("TEST_PORT=" + taken.port() + " " + kProgram + " launch 2 sum");
  EXPECT_EQ(ours.exit_code, 2);
  EXPECT_EQ(ours.output, "error: [launch] port " + taken.port() +
                             " is in use on this machine: choose another one (MASTER_PORT)\n");
  // The same when rank 0 of a foreign launcher has to serve the store.
  const Outcome mpi =
      shell("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 MASTER_PORT=" + taken.port() + " " +
            kProgram + " sum");
  EXPECT_EQ(mpi.exit_code, 2);
  EXPECT_EQ(mpi.output, ours.output);
}

TEST(LocalLaunch, RanksOfAForeignLauncherMeetAtRankZero) {
  std::string port;
  {
    const TakenPort free;  // and free again at the end of this block
    port = free.port();
  }
  const std::string common =
      "MASTER_PORT=" + port +
      " SLURM_NTASKS=2 SLURM_STEP_ID=0 SLURM_NODELIST=localhost OMP_NUM_THREADS=1 ";
  const Outcome outcome =
      shell("(" + common + "SLURM_PROCID=1 " + kProgram + " sum >/dev/null 2>&1 & " + common +
            "SLURM_PROCID=0 " + kProgram + " sum; wait)");
  EXPECT_EQ(outcome.output, "rank 0 speaks\nsum 3 of 2 threads 1\n");
}

// Without a launcher that ends it, a rank that hangs ends itself.
TEST(LocalLaunch, RanksOfAForeignLauncherEndByThemselves) {
  std::string port;
  {
    const TakenPort free;
    port = free.port();
  }
  const std::string common =
      "MASTER_PORT=" + port +
      " SLURM_NTASKS=2 SLURM_STEP_ID=0 SLURM_NODELIST=localhost OMP_NUM_THREADS=1 ";
  const Outcome outcome =
      shell("(" + common + "SLURM_PROCID=0 " + kProgram + " sleeps 1 & " + common +
            "SLURM_PROCID=1 " + kProgram + " sleeps 1; echo exit $?; wait)");
  EXPECT_EQ(count_no_life(outcome.output, 1), 2) << outcome.output;
  EXPECT_NE(outcome.output.find("exit 1"), std::string::npos) << outcome.output;
}

TEST(LocalLaunch, AnotherProgramOnThePortIsTold) {
  const TakenPort taken;
  const auto started = std::chrono::steady_clock::now();
  const Outcome outcome =
      shell("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 MASTER_PORT=" + taken.port() + " " +
            kProgram + " sum");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.output.find("though something listens there"), std::string::npos)
      << outcome.output;
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(60));
}

TEST(LocalLaunch, CudaWithoutADeviceIsOneSentence) {
  const Outcome outcome = shell("CUDA_VISIBLE_DEVICES= " + kProgram + " launch 2 cuda");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(count_of(outcome.output, "cuda was asked for"), 1) << outcome.output;
  EXPECT_EQ(count_of(outcome.output, "\n"), 1) << outcome.output;
}

// Starts two ranks that wait, sends `signal` to their launcher once they do (a busy machine may
// take its time), and gives what they printed and how the launcher ended.
Outcome signal_while_waiting(const std::string& signal) {
  return shell(
      "out=$(mktemp); " + kProgram +
      " launch 2 waits > $out 2>&1 & pid=$!; tries=0; "
      "until grep -q waiting $out || [ $tries -ge 600 ]; do sleep 0.1; tries=$((tries+1)); done; "
      "kill -" +
      signal + " $pid; wait $pid; code=$?; cat $out; rm -f $out; exit $code");
}

// Polls for up to 30 seconds.
bool ranks_are_gone(const std::string& mode) {
  for (int i = 0; i < 300; ++i) {
    if (!some_rank_runs(mode)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

TEST(LocalLaunch, TerminationIsPassedOn) {
  const Outcome outcome = signal_while_waiting("TERM");
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.output;
  EXPECT_EQ(outcome.output.substr(0, 8), "waiting\n");
  EXPECT_TRUE(ranks_are_gone("waits"));
}

TEST(LocalLaunch, RanksDoNotOutliveTheLauncher) {
  const Outcome outcome = signal_while_waiting("KILL");
  EXPECT_EQ(outcome.output.substr(0, 8), "waiting\n");
  EXPECT_TRUE(ranks_are_gone("waits"));
}

}  // namespace
}  // namespace galvatron::comm
