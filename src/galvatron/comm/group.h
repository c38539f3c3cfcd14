// A group of ranks that communicate, and the collectives on it. Values over c10d backends: gloo,
// nccl, threads, fake.
//
// Every member must call the same collectives in the same order with the same sizes. A collective
// on a group of one is free: it copies or does nothing.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace galvatron::comm {

class FlightRecorder;

enum class Reduction { kSum, kMax };

// A collective under way. wait() makes its result usable (on CUDA: by the current stream) and
// rethrows its failure as RuntimeFailure naming the group and the operation. Destroying it
// unfinished waits.
class Pending {
 public:
  class State;  // keeps the tensors of the operation alive
  Pending();    // already done
  explicit Pending(std::shared_ptr<State> state);
  // The recorder hears when it is waited for and done.
  Pending(Pending&& pending, std::shared_ptr<FlightRecorder> flight, std::int64_t number);
  Pending(Pending&&) noexcept;
  Pending& operator=(Pending&&) noexcept;
  ~Pending();
  void wait();
  bool done() const;  // true once wait() returned

 private:
  void finish();

  std::shared_ptr<State> state_;
  std::shared_ptr<FlightRecorder> flight_;  // null: not recorded
  std::int64_t number_ = -1;
};

// A shared handle: copies are the same group. A default-made Group is a group of one that needs no
// backend.
class Group {
 public:
  class Backend;  // backends/: one c10d backend and what it does natively
  Group();
  explicit Group(std::shared_ptr<Backend> backend);

  int size() const;
  int rank() const;                       // of this process (or thread) within the group
  const std::vector<int>& ranks() const;  // global ranks, ascending
  const std::string& name() const;        // "ranks 0,2,4,6": for messages

  // In place.
  void all_reduce(at::Tensor& tensor, Reduction reduction = Reduction::kSum) const;
  Pending all_reduce_async(at::Tensor tensor, Reduction reduction = Reduction::kSum) const;

  // output = concatenation over ranks of `input` along dim 0: output.numel() == size() *
  // input.numel(). Contiguous. `input` may be this rank's slice of `output`.
  void all_gather(at::Tensor& output, const at::Tensor& input) const;
  Pending all_gather_async(at::Tensor output, at::Tensor input) const;

  // output = sum over ranks of the rank()-th of size() equal slices of `input`. Contiguous; summed
  // in rank order, so the result does not depend on timing. `output` may be this rank's slice of
  // `input`.
  void reduce_scatter(at::Tensor& output, const at::Tensor& input) const;
  Pending reduce_scatter_async(at::Tensor output, at::Tensor input) const;

  // One-dimensional tensors: input_sizes[i] elements go to rank i, output_sizes[i] come from rank
  // i. Sizes may be 0.
  void all_to_all(at::Tensor& output, const at::Tensor& input,
                  const std::vector<std::int64_t>& output_sizes,
                  const std::vector<std::int64_t>& input_sizes) const;
  Pending all_to_all_async(at::Tensor output, at::Tensor input,
                           std::vector<std::int64_t> output_sizes,
                           std::vector<std::int64_t> input_sizes) const;

  void broadcast(at::Tensor& tensor, int root) const;  // root: rank within the group

  // Point to point; `peer` is a rank within the group. A send copies its tensor and is done at
  // once. Messages with equal tag arrive in the order in which they were sent. Receive those of
  // even tags in the order in which they are sent, and those of odd tags likewise: NCCL, which has
  // no tags, tells the two apart by their communicator.
  Pending send(at::Tensor tensor, int peer, int tag) const;
  Pending receive(at::Tensor tensor, int peer, int tag) const;

  void barrier() const;

 private:
  std::shared_ptr<Backend> backend_;
};

}  // namespace galvatron::comm
