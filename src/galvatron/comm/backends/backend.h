// What a backend implements. Group has checked contiguity, sizes and ranks before it calls; a
// backend only moves bytes.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/comm/flight_recorder.h"
#include "galvatron/comm/group.h"
#include "galvatron/comm/world.h"

namespace galvatron::comm {

// The unfinished part of one operation. It keeps the operation's tensors alive.
class Pending::State {
 public:
  virtual ~State() = default;
  // Called at most once. RuntimeFailure when the operation failed.
  virtual void wait() = 0;
};

// "ranks 0,2,4,6"; long lists are shortened: "ranks 0,1,2,3,...,63 (64 ranks)".
std::string rank_set_name(const std::vector<int>& ranks);

class Group::Backend {
 public:
  // `ranks` are global and ascending; `rank` is this member's index in them.
  Backend(std::vector<int> ranks, int rank);
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  int size() const { return static_cast<int>(ranks_.size()); }
  int rank() const { return rank_; }
  const std::vector<int>& ranks() const { return ranks_; }
  const std::string& name() const { return name_; }

  // kBlocking says that the caller waits at once, so that no thread needs to be woken.
  enum class Mode { kBlocking, kAsync };
  virtual Pending all_reduce(at::Tensor tensor, Reduction reduction, Mode mode) = 0;
  virtual Pending all_gather(at::Tensor output, at::Tensor input, Mode mode) = 0;
  virtual Pending reduce_scatter(at::Tensor output, at::Tensor input, Mode mode) = 0;
  virtual Pending all_to_all(at::Tensor output, at::Tensor input,
                             std::vector<std::int64_t> output_sizes,
                             std::vector<std::int64_t> input_sizes, Mode mode) = 0;
  virtual Pending broadcast(at::Tensor tensor, int root) = 0;
  virtual Pending send(at::Tensor tensor, int peer, int tag) = 0;
  virtual Pending receive(at::Tensor tensor, int peer, int tag) = 0;
  virtual void barrier() = 0;

  // Ends every operation under way with a RuntimeFailure and closes the connections. Later calls
  // fail too. `why` is the failure's sentence where somebody knows better than the operation; else
  // empty. From any thread.
  virtual void abort(const std::string& why) noexcept = 0;
  // What has failed without an operation that could say so; "": nothing. From any thread.
  virtual std::string failure() { return ""; }

  // Group records what it asks of this backend.
  void record_in(std::shared_ptr<FlightRecorder> flight);
  const std::shared_ptr<FlightRecorder>& flight() const { return flight_; }
  int flight_group() const { return flight_group_; }

 private:
  std::vector<int> ranks_;
  int rank_;
  std::string name_;
  std::shared_ptr<FlightRecorder> flight_;
  int flight_group_ = -1;
};

class World::Factory {
 public:
  virtual ~Factory() = default;
  // Called by all members of `ranks`, in the same order of sets on every rank. `rank`: index in
  // `ranks`.
  virtual std::shared_ptr<Group::Backend> make(const std::vector<int>& ranks, int rank) = 0;
  // This rank gives up: whatever else the factory can do to tell the others.
  virtual void abort() noexcept {}
};

}  // namespace galvatron::comm
