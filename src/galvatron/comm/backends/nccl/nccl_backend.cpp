#include "galvatron/comm/backends/nccl/nccl_backend.h"

#include <array>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/backends/reduce.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

using Nccl = c10::intrusive_ptr<c10d::ProcessGroupNCCL>;

class NcclState final : public Pending::State {
 public:
  NcclState(c10::intrusive_ptr<c10d::Work> work, std::vector<at::Tensor> tensors, std::string what)
      : work_(std::move(work)), tensors_(std::move(tensors)), what_(std::move(what)) {}

  // The current stream waits, not this thread: what fails later is found by failure().
  void wait() override {
    try {
      if (work_) work_->wait();
    } catch (const std::exception& error) {
      throw RuntimeFailure(what_, " failed: ", short_reason(error));
    }
  }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
  std::vector<at::Tensor> tensors_;
  std::string what_;
};

class NcclBackend final : public Group::Backend {
 public:
  NcclBackend(c10::intrusive_ptr<c10d::Store> store, std::vector<int> ranks, int rank,
              c10::Device device, std::chrono::milliseconds timeout)
      : Backend(std::move(ranks), rank),
        store_(std::move(store)),
        device_(device),
        timeout_(timeout),
        collectives_(open("collectives")) {}

  Pending all_reduce(at::Tensor tensor, Reduction reduction, Mode) override {
    c10d::AllreduceOptions options;
    options.reduceOp = reduction == Reduction::kSum ? c10d::ReduceOp::SUM : c10d::ReduceOp::MAX;
    std::vector<at::Tensor> tensors{tensor};
    return start("all_reduce", tensors, [&] { return collectives_->allreduce(tensors, options); });
  }

  Pending all_gather(at::Tensor output, at::Tensor input, Mode) override {
    return start("all_gather", {output, input},
                 [&] { return collectives_->_allgather_base(output, input); });
  }

  Pending reduce_scatter(at::Tensor output, at::Tensor input, Mode) override {
    return start("reduce_scatter", {output, input},
                 [&] { return collectives_->_reduce_scatter_base(output, input); });
  }

  Pending all_to_all(at::Tensor output, at::Tensor input, std::vector<std::int64_t> output_sizes,
                     std::vector<std::int64_t> input_sizes, Mode) override {
    return start("all_to_all", {output, input}, [&] {
      return collectives_->alltoall_base(output, input, output_sizes, input_sizes);
    });
  }

  Pending broadcast(at::Tensor tensor, int root) override {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    std::vector<at::Tensor> tensors{tensor};
    return start("broadcast", tensors, [&] { return collectives_->broadcast(tensors, options); });
  }

  // NCCL has no tags: messages of one lane between two ranks are received in the order in which
  // they were sent.
  Pending send(at::Tensor tensor, int peer, int tag) override {
    while (!sends_.empty() && sends_.front().work->isCompleted()) sends_.pop_front();
    std::vector<at::Tensor> copies{at::empty_like(tensor)};
    copy_raw(copies[0], tensor);
    auto work = guarded("send", [&] { return lane(rank() < peer, tag)->send(copies, peer, tag); });
    sends_.push_back({std::move(work), copies[0]});
    return {};
  }

  Pending receive(at::Tensor tensor, int peer, int tag) override {
    std::vector<at::Tensor> tensors{tensor};
    return start("receive", tensors,
                 [&] { return lane(peer < rank(), tag)->recv(tensors, peer, tag); });
  }

  void barrier() override {
    const at::NoGradGuard no_grad;
    at::Tensor token = at::zeros({1}, at::TensorOptions(device_));
    all_reduce(token, Reduction::kSum, Mode::kBlocking).wait();
    token.item<float>();
  }

  // Kernels that wait for a peer end, and with them whoever waits for the device.
  void abort(const std::string& why) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      if (!aborted_) why_ = why;
      aborted_ = true;
    }
    for (const Nccl& group : groups()) {
      try {
        group->abort();
      } catch (const std::exception&) {
      }
    }
  }

  // NCCL's errors come from its threads.
  std::string failure() override {
    for (const Nccl& group : groups()) {
      const char* problem = problem_of(group->getError());
      if (problem) return detail::concat("NCCL on ", name(), " failed: ", problem);
    }
    return "";
  }

 private:
  struct Sent {
    c10::intrusive_ptr<c10d::Work> work;
    at::Tensor tensor;
  };

  static const char* problem_of(c10d::ErrorType error) {
    switch (error) {
      case c10d::ErrorType::SUCCESS:
        return nullptr;
      case c10d::ErrorType::TIMEOUT:
        return "an operation took too long";
      case c10d::ErrorType::REMOTE_ERROR:
        return "a peer's process or network is gone";
      default:
        return "lost the connection to a rank, or its device failed";
    }
  }

  std::vector<Nccl> groups() {
    const std::lock_guard lock(mutex_);
    std::vector<Nccl> out;
    if (collectives_) out.push_back(collectives_);
    for (const Nccl& lane : lanes_) {
      if (lane) out.push_back(lane);
    }
    return out;
  }

  void refuse_if_aborted() const {
    const std::lock_guard lock(mutex_);
    if (!aborted_) return;
    if (!why_.empty()) throw RuntimeFailure(why_);
    throw RuntimeFailure("the group of ", name(), " was dropped after a failure");
  }

  Nccl open(const std::string& purpose) const {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = timeout_;
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(
        c10::make_intrusive<c10d::PrefixStore>(purpose, store_), rank(), size(), options);
  }

  // A pair of ranks has one stream per process group, so each direction needs its own: crossing
  // sends would wait for each other. Even and odd tags likewise: they may overtake each other.
  Nccl& lane(bool upwards, int tag) {
    const bool odd = tag % 2 != 0;
    Nccl& group = lanes_[static_cast<std::size_t>(2 * int{upwards} + int{odd})];
    if (group) return group;
    Nccl opened = open(std::string(upwards ? "up" : "down") + (odd ? " odd" : ""));
    const std::lock_guard lock(mutex_);
    return group = std::move(opened);
  }

  template <typename Launch>
  c10::intrusive_ptr<c10d::Work> guarded(const std::string& what, const Launch& launch) const {
    refuse_if_aborted();
    try {
      const at::NoGradGuard no_grad;
      return launch();
    } catch (const std::exception& error) {
      throw RuntimeFailure(what, " on ", name(), " failed: ", short_reason(error));
    }
  }

  template <typename Launch>
  Pending start(const std::string& what, std::vector<at::Tensor> tensors, const Launch& launch) {
    auto work = guarded(what, launch);
    return Pending(
        std::make_shared<NcclState>(std::move(work), std::move(tensors), what + " on " + name()));
  }

  c10::intrusive_ptr<c10d::Store> store_;
  c10::Device device_;
  std::chrono::milliseconds timeout_;
  mutable std::mutex mutex_;  // over what abort() and failure() look at
  bool aborted_ = false;
  std::string why_;
  Nccl collectives_;
  std::array<Nccl, 4> lanes_;  // point to point, each made when it is first used
  std::deque<Sent> sends_;
};

class NcclFactory final : public World::Factory {
 public:
  NcclFactory(c10::intrusive_ptr<c10d::Store> store, c10::Device device,
              std::chrono::milliseconds timeout)
      : store_(std::move(store)), device_(device), timeout_(timeout) {
    // Failures are ours to tell (LifeWatch): torch's own watchdogs would abort the process.
    setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", /*overwrite=*/0);
    setenv("TORCH_NCCL_ENABLE_MONITORING", "0", /*overwrite=*/0);
  }

  std::shared_ptr<Group::Backend> make(const std::vector<int>& ranks, int rank) override {
    std::string key;
    for (int member : ranks) key += std::to_string(member) + ",";
    auto store = c10::make_intrusive<c10d::PrefixStore>("group/" + key, store_);
    try {
      return std::make_shared<NcclBackend>(std::move(store), ranks, rank, device_, timeout_);
    } catch (const std::exception& error) {
      throw RuntimeFailure("the NCCL group of ", rank_set_name(ranks),
                           " could not be made: ", short_reason(error));
    }
  }

 private:
  c10::intrusive_ptr<c10d::Store> store_;
  c10::Device device_;
  std::chrono::milliseconds timeout_;
};

}  // namespace

std::shared_ptr<World::Factory> make_nccl_group_factory(c10::intrusive_ptr<c10d::Store> store,
                                                        c10::Device device,
                                                        std::chrono::milliseconds timeout) {
  return std::make_shared<NcclFactory>(std::move(store), device, timeout);
}

}  // namespace galvatron::comm
