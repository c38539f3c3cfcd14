// What the launcher tests start.
//   comm_rank_program launch NPROC MODE [RANK]   the launcher: starts itself NPROC times as
//   comm_rank_program MODE [RANK]                one rank, which misbehaves as MODE says if it is
//   RANK
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"

namespace {

using namespace galvatron;
using namespace galvatron::comm;

// Seconds. Longer than any test may take: who passes did not wait for it.
constexpr int kNever = 1800;
// Long enough for every rank to start on a busy machine, and to be heard of there.
constexpr int kShort = 6, kLife = 4;

// Modes in which the ranks' patience ends.
bool is_about_life(const std::string& mode) {
  return mode == "stopped" || mode == "sleeps" || mode == "computes" || mode == "reads" ||
         mode == "deadlock";
}

// Uses a core for so many seconds.
void compute(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) at::ones({1000}).sum();
}

void sleep_for_ever() { std::this_thread::sleep_for(std::chrono::seconds(kNever)); }

// Two ranks that wait for each other in different groups.
void wait_crosswise(World& world) {
  at::Tensor tensor = at::ones({8});
  if (world.rank() == 0) world.group({0, 1}).all_reduce(tensor);
  world.all().all_reduce(tensor);
}

void sum_forever(World& world, const std::string& mode, bool chosen) {
  world.create_groups({{0, 1}, {world.size() - 2, world.size() - 1}});
  at::Tensor tensor = at::ones({300'000});
  for (int step = 0;; ++step) {
    if (chosen && step == 5) {
      if (mode == "killed") raise(SIGKILL);
      if (mode == "stopped") raise(SIGSTOP);
      if (mode == "throws") throw RuntimeFailure("the disk is full");
      if (mode == "bug") GALV_CHECK(step != 5, "a bug");
      if (mode == "mismatch") tensor = at::ones({200'000});
      if (mode == "leaves") _exit(0);
      if (mode == "sleeps") sleep_for_ever();
      if (mode == "computes") compute(2 * kLife);
      if (mode == "reads") {
        const auto scope = FlightRecorder::files(world.flight(), "reading the data");
        std::this_thread::sleep_for(std::chrono::seconds(2 * kLife));
      }
    }
    if (step == 6 && (mode == "computes" || mode == "reads")) return;
    if (step == 5 && mode == "deadlock") wait_crosswise(world);
    world.flight().set_step(step + 1);
    Pending pending = world.all().all_reduce_async(tensor);
    at::Tensor token = at::ones({1});
    if (world.rank() < 2) world.group({0, 1}).all_reduce(token);
    pending.wait();
  }
}

int run_rank(const std::string& mode, int chosen_rank) {
  const LaunchEnvironment environment = read_launch_environment();
  const bool chosen = environment.rank == chosen_rank;
  if (mode == "refuses") throw ConfigError("the batch of 7 cannot be split");
  if (mode == "absent" && chosen) sleep_for_ever();
  WorldOptions options;
  options.limits.join = mode == "absent" ? kShort : kNever;
  options.limits.step = is_about_life(mode) ? kLife : kNever;
  if (mode == "cuda") options.device = c10::kCUDA;
  World world = connect(environment, options);
  if (mode == "sum") {
    at::Tensor tensor = at::full({1000}, world.rank() + 1);
    world.all().all_reduce(tensor);
    std::cerr << "rank " << world.rank() << " speaks\n";
    if (world.rank() == 0) {
      std::cout << "sum " << tensor[999].item<int>() << " of " << world.size() << " threads "
                << std::getenv("OMP_NUM_THREADS") << "\n";
    }
    return 0;
  }
  if (mode == "waits") {
    if (world.rank() == 0) std::cout << "waiting\n" << std::flush;
    sleep_for_ever();
  }
  sum_forever(world, mode, chosen);
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.at(1) == "launch") {
    LocalLaunch launch;
    launch.nproc = std::stoi(arguments.at(2));
    if (const char* port = std::getenv("TEST_PORT")) launch.master_port = std::stoi(port);
    launch.command = {arguments[0]};
    launch.command.insert(launch.command.end(), arguments.begin() + 3, arguments.end());
    return launch_local_ranks(launch).code;
  }
  return run_rank(arguments.at(1), arguments.size() > 2 ? std::stoi(arguments[2]) : -1);
}

}  // namespace

int main(int argc, char** argv) {
  galvatron::comm::prepare_process();
  try {
    return run({argv, argv + argc});
  } catch (const galvatron::ConfigError& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  } catch (const galvatron::InternalError& error) {
    std::cerr << "bug: " << error.what() << "\n";
    return 70;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
