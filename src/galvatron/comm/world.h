// This rank's place among all ranks and the maker of its groups: one communicator for each distinct
// rank set.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "galvatron/comm/flight_recorder.h"
#include "galvatron/comm/group.h"
#include "galvatron/comm/limits.h"

namespace galvatron::comm {

enum class BackendKind { kThreads, kGloo, kNccl, kFake };

struct WorldOptions {
  BackendKind backend = BackendKind::kGloo;
  c10::Device device = c10::kCPU;
  // A collective of rank threads that takes longer than this is a failure.
  std::chrono::milliseconds timeout{45'000};
  // Of ranks that are processes, which watch over each other.
  Limits limits;
};

class LifeWatch;

class World {
 public:
  // What groups are made of: the store for gloo and nccl, the shared room of slots for threads.
  // Implemented by backends/.
  class Factory;

  World(int rank, int size, WorldOptions options, std::shared_ptr<Factory> factory,
        std::shared_ptr<LifeWatch> watch = nullptr);
  World(World&&) noexcept;
  World& operator=(World&&) noexcept;
  ~World();

  int rank() const;
  int size() const;
  c10::Device device() const;

  // Makes the groups for `rank_sets` (any order, duplicates allowed; every rank passes the same
  // list, also the sets it is not in). Groups are created in one global order, so ranks never wait
  // for each other crosswise.
  void create_groups(const std::vector<std::vector<int>>& rank_sets);

  // The group of a rank set: REQUIRES that create_groups saw it and that it contains this rank. A
  // set of one rank needs no creation.
  Group group(const std::vector<int>& ranks) const;
  Group all() const;  // every rank; always there

  int num_communicators() const;  // made by this rank

  // What this rank did last.
  FlightRecorder& flight() const;

  // Drops every group at once, so that peers waiting in a collective fail in milliseconds instead
  // of when their patience ends. `why`: a sentence for those who cannot notice.
  void abort(const std::string& why = "") noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Pretends to be rank `rank` of `size`: every operation ends at once (backends/fake). To rehearse
// the shapes and the memory of a large job in one process.
World fake_world(int rank, int size, c10::Device device = c10::kCPU);

// A world of one rank: no store, no sockets.
World single_world(c10::Device device = c10::kCPU);

// Runs `body(world)` on `size` threads as `size` ranks of one in-process world and waits for all.
// The first exception of any rank is rethrown after the others ended (a failing rank aborts its
// groups). For tests and the plan fuzzer. `backend` is kThreads (slots in memory, checks sizes and
// order of operations) or kGloo (real sockets on loopback).
void run_rank_threads(int size, const std::function<void(World&)>& body,
                      BackendKind backend = BackendKind::kThreads,
                      std::chrono::milliseconds timeout = std::chrono::milliseconds{45'000});

}  // namespace galvatron::comm
