// The ranks watch over each other through their store: each says every second what it does, rank 0
// reads it of all, the others of rank 0, and whoever finds a rank without life tells all.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "galvatron/comm/flight_recorder.h"
#include "galvatron/comm/limits.h"

namespace galvatron::comm {

struct WatchOptions {
  int rank = 0;
  int world_size = 1;
  std::string host;
  Limits limits;
  // This process serves the store: it stays until the others have left.
  bool serves_store = false;
};

class LifeWatch {
 public:
  // `store` is a connection of its own, under this job's prefix.
  LifeWatch(c10::intrusive_ptr<c10d::Store> store, const WatchOptions& options,
            std::shared_ptr<FlightRecorder> flight);
  // Says that this rank has left. Waits for nobody, unless it serves the store.
  ~LifeWatch();
  LifeWatch(const LifeWatch&) = delete;
  LifeWatch& operator=(const LifeWatch&) = delete;

  // `on_end`, on a thread of the watch and once, with one sentence, when the job cannot go on. When
  // the watch still lives 10 s later, because the rank hangs where nobody can wake it, the sentence
  // goes to standard error, and the process ends with exit code 1.
  // `failure` is asked every second what has failed without a call that could say so; "": nothing.
  void listen(std::function<void(const std::string&)> on_end, std::function<std::string()> failure);

  // This rank fails, and its peers would not notice by themselves.
  void tell_failure(const std::string& why);

  // This rank fails: when it leaves, it waits for nobody.
  void give_up();

  const std::shared_ptr<FlightRecorder>& flight() const;

 private:
  class Shared;
  std::shared_ptr<Shared> shared_;  // with its threads, which a store that hangs may hold for ever
};

// Keys of the store.
inline constexpr const char* kVerdictKey = "verdict";
inline constexpr const char* kNoVerdict = "-";
std::string life_key(int rank);

}  // namespace galvatron::comm
