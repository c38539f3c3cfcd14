#include "galvatron/comm/backends/gloo/gloo_backend.h"

#include <atomic>
#include <csignal>
#include <mutex>
#include <utility>

#include <sched.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/backends/gloo/gloo_link.h"
#include "galvatron/comm/backends/gloo/serial_worker.h"
#include "galvatron/comm/backends/reduce.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

// Up to this many bytes per group an all-reduce sends whole tensors in one round instead of slices
// in two.
constexpr std::int64_t kOneRoundBytes = 64 * 1024;
// Tags of collectives lie above those of send and receive.
constexpr std::uint32_t kCollectiveTag = 1U << 29;

using Transfers = std::vector<GlooLink::Transfer>;

// The messages of one collective, or one receive, under way.
class TransferState final : public Pending::State {
 public:
  TransferState(std::shared_ptr<GlooLink> link, Transfers transfers, std::string operation)
      : link_(std::move(link)),
        transfers_(std::move(transfers)),
        operation_(std::move(operation)) {}

  void wait() override {
    // Receives come last in the list and are the better news when a peer is missing.
    for (auto it = transfers_.rbegin(); it != transfers_.rend(); ++it)
      link_->finish(*it, operation_);
  }

 private:
  std::shared_ptr<GlooLink> link_;
  Transfers transfers_;
  std::string operation_;
};

class GlooBackend final : public Group::Backend {
 public:
  GlooBackend(c10::intrusive_ptr<c10d::ProcessGroupGloo> group, const std::vector<int>& ranks,
              int rank, std::chrono::milliseconds timeout, const std::vector<std::string>& hosts)
      : Backend(ranks, rank),
        link_(std::make_shared<GlooLink>(std::move(group), ranks, name(), timeout, hosts)) {}

  ~GlooBackend() override = default;

  Pending all_reduce(at::Tensor tensor, Reduction reduction, Mode mode) override {
    const std::uint32_t tag = next_tags(2);
    return run(mode, [this, tensor, reduction, tag] {
      const std::int64_t bytes = static_cast<std::int64_t>(tensor.nbytes()) * size();
      if (bytes <= kOneRoundBytes) {
        all_reduce_in_one_round(tensor, reduction, tag);
      } else {
        all_reduce_in_slices(tensor, reduction, tag);
      }
    });
  }

  Pending all_gather(at::Tensor output, at::Tensor input, Mode) override {
    const std::int64_t count = input.numel();
    const at::Tensor mine = flat_slice(output, rank() * count, count);
    copy_raw(mine, input);
    return under_way(
        exchange([&](int) { return mine; },
                 [&](int peer) { return flat_slice(output, peer * count, count); }, next_tags(1)),
        "all_gather");
  }

  Pending reduce_scatter(at::Tensor output, at::Tensor input, Mode mode) override {
    const std::uint32_t tag = next_tags(1);
    return run(mode, [this, output, input, tag] {
      const std::int64_t count = output.numel();
      reduce_slices(output, Reduction::kSum, tag, "reduce_scatter",
                    [&](int peer) { return flat_slice(input, peer * count, count); });
    });
  }

  Pending all_to_all(at::Tensor output, at::Tensor input, std::vector<std::int64_t> output_sizes,
                     std::vector<std::int64_t> input_sizes, Mode) override {
    const std::vector<at::Tensor> to = split(input, input_sizes);
    const std::vector<at::Tensor> from = split(output, output_sizes);
    copy_raw(from[rank()], to[rank()]);
    return under_way(exchange([&](int peer) { return to[peer]; },
                              [&](int peer) { return from[peer]; }, next_tags(1)),
                     "all_to_all");
  }

  Pending broadcast(at::Tensor tensor, int root) override {
    const std::uint32_t tag = next_tags(1);
    const at::Tensor flat = flat_slice(tensor, 0, tensor.numel());
    if (rank() != root) return under_way({link_->start_receive(flat, root, tag)}, "broadcast");
    Transfers transfers;
    for (int i = 1; i < size(); ++i) {
      transfers.push_back(link_->start_send(flat, (rank() + i) % size(), tag));
    }
    return under_way(std::move(transfers), "broadcast");
  }

  // Gloo's own send ends when the receiver has taken the message; a copy lets the caller go on at
  // once.
  Pending send(at::Tensor tensor, int peer, int tag) override {
    rethrow_send_error();
    at::Tensor copy = at::empty({tensor.numel()}, tensor.options().requires_grad(false));
    copy_raw(copy, tensor);
    auto transfer = link_->start_send(std::move(copy), peer, user_tag(tag));
    sends_.submit([this, transfer = std::move(transfer)] {
      try {
        link_->finish(transfer, "send");
      } catch (const RuntimeFailure& failure) {
        const std::lock_guard lock(send_mutex_);
        if (send_error_.empty()) send_error_ = failure.what();
      }
    });
    return {};
  }

  Pending receive(at::Tensor tensor, int peer, int tag) override {
    rethrow_send_error();
    const at::Tensor flat = flat_slice(tensor, 0, tensor.numel());
    return under_way({link_->start_receive(flat, peer, user_tag(tag))},
                     "receive with tag " + std::to_string(tag));
  }

  void barrier() override {
    at::Tensor token = at::zeros({1}, at::kByte);
    const auto same = [&](int) { return token; };
    std::vector<at::Tensor> tokens;
    for (int i = 0; i < size(); ++i) tokens.push_back(at::empty({1}, at::kByte));
    under_way(exchange(
                  same, [&](int peer) { return tokens[peer]; }, next_tags(1)),
              "barrier")
        .wait();
  }

  void abort(const std::string& why) noexcept override { link_->abort(why); }

 private:
  std::uint32_t next_tags(std::uint32_t count) {
    const std::uint32_t tag = next_tag_.fetch_add(count);
    return kCollectiveTag + tag % kCollectiveTag;
  }

  static std::uint32_t user_tag(int tag) {
    GALV_CHECK(static_cast<std::uint32_t>(tag) < kCollectiveTag, "tag ", tag);
    return static_cast<std::uint32_t>(tag);
  }

  std::vector<at::Tensor> split(const at::Tensor& tensor, const std::vector<std::int64_t>& sizes) {
    std::vector<at::Tensor> parts;
    std::int64_t begin = 0;
    for (std::int64_t size : sizes) {
      parts.push_back(flat_slice(tensor, begin, size));
      begin += size;
    }
    return parts;
  }

  Pending under_way(Transfers transfers, std::string operation) {
    return Pending(
        std::make_shared<TransferState>(link_, std::move(transfers), std::move(operation)));
  }

  // Tags keep operations apart, so a blocking one need not queue behind those in the background.
  template <typename Work>
  Pending run(Mode mode, Work work) {
    if (mode == Mode::kAsync) return Pending(collectives_.submit(std::move(work)));
    work();
    return {};
  }

  // One message to and one from every other member, each rank starting with its
  // next neighbour.
  template <typename ToPeer, typename FromPeer>
  Transfers exchange(const ToPeer& to_peer, const FromPeer& from_peer, std::uint32_t tag) {
    Transfers transfers;
    for (int i = 1; i < size(); ++i) {
      const int peer = (rank() + i) % size();
      transfers.push_back(link_->start_send(to_peer(peer), peer, tag));
    }
    for (int i = 1; i < size(); ++i) {
      const int peer = (rank() + size() - i) % size();
      transfers.push_back(link_->start_receive(from_peer(peer), peer, tag));
    }
    return transfers;
  }

  // `output` = reduction over ranks, in rank order, of what each holds as slice_for(this rank).
  // `output` may be this rank's own slice.
  template <typename SliceFor>
  void reduce_slices(at::Tensor output, Reduction reduction, std::uint32_t tag,
                     const char* operation, const SliceFor& slice_for) {
    const at::Tensor received =
        at::empty({size(), output.numel()}, output.options().requires_grad(false));
    std::vector<at::Tensor> parts;
    for (int i = 0; i < size(); ++i) {
      parts.push_back(i == rank() ? slice_for(i) : received.select(0, i));
    }
    under_way(exchange(slice_for, [&](int peer) { return parts[peer]; }, tag), operation).wait();
    reduce_in_order(output, parts, reduction);
  }

  void all_reduce_in_one_round(const at::Tensor& tensor, Reduction reduction, std::uint32_t tag) {
    const at::Tensor flat = flat_slice(tensor, 0, tensor.numel());
    reduce_slices(flat, reduction, tag, "all_reduce", [&](int) { return flat; });
  }

  void all_reduce_in_slices(const at::Tensor& tensor, Reduction reduction, std::uint32_t tag) {
    const auto slice_of = [&](int index) {
      const Range range = chunk(tensor.numel(), size(), index);
      return flat_slice(tensor, range.begin, range.size());
    };
    reduce_slices(slice_of(rank()), reduction, tag, "all_reduce", slice_of);
    const at::Tensor mine = slice_of(rank());
    under_way(exchange([&](int) { return mine; }, slice_of, tag + 1), "all_reduce").wait();
  }

  void rethrow_send_error() {
    const std::lock_guard lock(send_mutex_);
    if (!send_error_.empty()) throw RuntimeFailure(send_error_);
  }

  std::shared_ptr<GlooLink> link_;
  std::atomic<std::uint32_t> next_tag_ = 0;
  std::mutex send_mutex_;
  std::string send_error_;  // a send that failed after its caller had gone on
  SerialWorker collectives_;
  SerialWorker sends_;
};

}  // namespace

namespace {

// Gloo writes to connections that a peer may have closed: an error to report, not a signal to die
// of. A handler that somebody else has set stays.
void ignore_broken_pipes() {
  struct sigaction current{};
  if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
    signal(SIGPIPE, SIG_IGN);
  }
}

// Threads started in its lifetime do not preempt the thread that wakes them. Gloo's I/O thread
// spins while another thread holds the lock of a connection; when it preempts that thread, both
// lose a scheduler tick (4 ms an operation).
class BatchScheduling {
 public:
  BatchScheduling() : normal_(sched_getscheduler(0) == SCHED_OTHER) { set(SCHED_BATCH); }
  ~BatchScheduling() { set(SCHED_OTHER); }
  BatchScheduling(const BatchScheduling&) = delete;
  BatchScheduling& operator=(const BatchScheduling&) = delete;

 private:
  void set(int policy) const {
    const sched_param parameters{};
    if (normal_) sched_setscheduler(0, policy, &parameters);
  }
  bool normal_;
};

}  // namespace

struct GlooNetwork::Device {
  std::shared_ptr<::gloo::transport::Device> device;
};

GlooNetwork::GlooNetwork(const std::string& interface, const std::string& address)
    : device_(std::make_unique<Device>()) {
  using c10d::ProcessGroupGloo;
  ignore_broken_pipes();
  const BatchScheduling for_its_thread;
  try {
    if (!interface.empty()) {
      device_->device = ProcessGroupGloo::createDeviceForInterface(interface);
    } else if (!address.empty()) {
      device_->device = ProcessGroupGloo::createDeviceForHostname(address);
    } else {
      device_->device = ProcessGroupGloo::createDefaultDevice();
    }
  } catch (const std::exception& error) {
    const std::string which = !interface.empty()
                                  ? "interface '" + interface + "' (GLOO_SOCKET_IFNAME)"
                                  : "address '" + address + "'";
    throw ConfigError("[network] cannot use the network ", which, ": ", short_reason(error));
  }
}

GlooNetwork::~GlooNetwork() = default;

class GlooFactory final : public World::Factory {
 public:
  GlooFactory(c10::intrusive_ptr<c10d::Store> store, std::shared_ptr<GlooNetwork> network,
              std::chrono::milliseconds timeout, std::vector<std::string> hosts)
      : store_(std::move(store)),
        network_(std::move(network)),
        timeout_(timeout),
        hosts_(std::move(hosts)) {}

  std::shared_ptr<Group::Backend> make(const std::vector<int>& ranks, int rank) override {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout_);
    options->devices.push_back(network_->device_->device);
    options->threads = 1;  // its own collectives, which would need threads, are not used
    const std::string name = rank_set_name(ranks);
    std::string key;
    for (int member : ranks) key += std::to_string(member) + ",";
    try {
      auto store = c10::make_intrusive<c10d::PrefixStore>("group/" + key, store_);
      auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(
          store, rank, static_cast<int>(ranks.size()), options);
      return std::make_shared<GlooBackend>(std::move(group), ranks, rank, timeout_, hosts_);
    } catch (const std::exception& error) {
      throw RuntimeFailure("the group of ", name, " could not be connected: ", short_reason(error));
    }
  }

 private:
  c10::intrusive_ptr<c10d::Store> store_;
  std::shared_ptr<GlooNetwork> network_;
  std::chrono::milliseconds timeout_;
  std::vector<std::string> hosts_;
};

std::shared_ptr<World::Factory> make_gloo_factory(c10::intrusive_ptr<c10d::Store> store,
                                                  std::shared_ptr<GlooNetwork> network,
                                                  std::chrono::milliseconds timeout,
                                                  std::vector<std::string> hosts) {
  return std::make_shared<GlooFactory>(std::move(store), std::move(network), timeout,
                                       std::move(hosts));
}

}  // namespace galvatron::comm
