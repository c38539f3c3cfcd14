#include "regret/slow_links.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "galvatron/comm/backends/gloo/serial_worker.h"
#include "galvatron/comm/backends/threads/thread_backend.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::bench {
namespace {

using comm::Pending;
using profiles::Collective;
using profiles::GroupShape;

constexpr std::chrono::minutes kPatience{10};

void sleep_ms(double ms) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

// What a rank's operations share.
class SharedLink {
 public:
  // As long as `ms` alone, longer beside others.
  void occupy(double ms) {
    ++users_;
    auto last = std::chrono::steady_clock::now();
    while (ms > 0) {
      const int users = users_;
      sleep_ms(std::min(ms * users, kSliceMs));
      const auto now = std::chrono::steady_clock::now();
      ms -= std::chrono::duration<double, std::milli>(now - last).count() / users;
      last = now;
    }
    --users_;
  }

 private:
  static constexpr double kSliceMs = 0.5;  // after which it looks who else is there
  std::atomic<int> users_{0};
};

struct RankLinks {
  SharedLink intra_node, inter_node;
};

// Moves bytes as another backend does and takes its time over it.
class SlowBackend : public comm::Group::Backend {
 public:
  SlowBackend(std::shared_ptr<Backend> fast, const profiles::HardwareProfile& links,
              std::shared_ptr<RankLinks> of_rank)
      : Backend(fast->ranks(), fast->rank()),
        fast_(std::move(fast)),
        links_(links),
        of_rank_(std::move(of_rank)) {}

  Pending all_reduce(at::Tensor tensor, comm::Reduction reduction, Mode mode) override {
    const double ms = time(Collective::kAllReduce, tensor);
    return late(fast_->all_reduce(std::move(tensor), reduction, Mode::kAsync), ms, mode);
  }
  Pending all_gather(at::Tensor output, at::Tensor input, Mode mode) override {
    const double ms = time(Collective::kAllGather, output);
    return late(fast_->all_gather(std::move(output), std::move(input), Mode::kAsync), ms, mode);
  }
  Pending reduce_scatter(at::Tensor output, at::Tensor input, Mode mode) override {
    const double ms = time(Collective::kReduceScatter, input);
    return late(fast_->reduce_scatter(std::move(output), std::move(input), Mode::kAsync), ms, mode);
  }
  Pending all_to_all(at::Tensor output, at::Tensor input, std::vector<std::int64_t> output_sizes,
                     std::vector<std::int64_t> input_sizes, Mode mode) override {
    const double ms = exchange_time(input, output_sizes, input_sizes);
    return late(fast_->all_to_all(std::move(output), std::move(input), std::move(output_sizes),
                                  std::move(input_sizes), Mode::kAsync),
                ms, mode);
  }
  Pending broadcast(at::Tensor tensor, int root) override {
    return fast_->broadcast(std::move(tensor), root);
  }
  Pending send(at::Tensor tensor, int peer, int tag) override {
    const int stride = std::abs(ranks()[static_cast<std::size_t>(peer)] -
                                ranks()[static_cast<std::size_t>(rank())]);
    const double ms =
        links_.group_time(Collective::kPointToPoint, {2, stride}, bytes(tensor)).value;
    letters_[{peer, tag}].submit([this, ms, peer, tag, copy = tensor.clone()] {
      sleep_ms(ms);
      fast_->send(copy, peer, tag).wait();
    });
    return {};
  }
  Pending receive(at::Tensor tensor, int peer, int tag) override {
    return fast_->receive(std::move(tensor), peer, tag);
  }
  void barrier() override { fast_->barrier(); }
  void abort(const std::string& why) noexcept override { fast_->abort(why); }

 private:
  static Bytes bytes(const at::Tensor& tensor) {
    return {static_cast<std::int64_t>(tensor.nbytes())};
  }
  int stride() const { return size() > 1 ? ranks()[1] - ranks()[0] : 1; }
  double time(Collective kind, const at::Tensor& tensor) const {
    return links_.group_time(kind, {size(), stride()}, bytes(tensor)).value;
  }

  // Among those that have something for this rank or get something from it.
  double exchange_time(const at::Tensor& input, const std::vector<std::int64_t>& output_sizes,
                       const std::vector<std::int64_t>& input_sizes) const {
    int among = 1;
    std::int64_t leaves = 0, comes = 0;
    for (int i = 0; i < size(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      if (i == rank() || input_sizes[k] + output_sizes[k] == 0) continue;
      ++among;
      leaves += input_sizes[k];
      comes += output_sizes[k];
    }
    if (among == 1) return 0;
    const std::int64_t moved = std::max(leaves, comes) * input.element_size();
    // A whole exchange moves (n - 1) / n of what a rank holds.
    return links_
        .group_time(Collective::kAllToAll, {among, among == size() ? stride() : 1},
                    Bytes{moved * among / (among - 1)})
        .value;
  }

  Pending late(Pending fast, double ms, Mode mode) {
    auto moved = std::make_shared<Pending>(std::move(fast));
    const bool crosses = links_.crosses_nodes({size(), stride()});
    SharedLink& link = crosses ? of_rank_->inter_node : of_rank_->intra_node;
    Pending out(lane_.submit([moved, ms, &link] {
      moved->wait();
      link.occupy(ms);
    }));
    if (mode == Mode::kBlocking) out.wait();
    return out;
  }

  std::shared_ptr<Backend> fast_;
  const profiles::HardwareProfile& links_;
  std::shared_ptr<RankLinks> of_rank_;
  std::map<std::pair<int, int>, comm::SerialWorker> letters_;  // by peer and tag
  comm::SerialWorker lane_;
};

class SlowFactory : public comm::World::Factory {
 public:
  SlowFactory(std::shared_ptr<Factory> fast, const profiles::HardwareProfile& links)
      : fast_(std::move(fast)), links_(links) {}
  std::shared_ptr<comm::Group::Backend> make(const std::vector<int>& ranks, int rank) override {
    return std::make_shared<SlowBackend>(fast_->make(ranks, rank), links_, of_rank_);
  }
  void abort() noexcept override { fast_->abort(); }

 private:
  std::shared_ptr<Factory> fast_;
  const profiles::HardwareProfile& links_;
  std::shared_ptr<RankLinks> of_rank_ = std::make_shared<RankLinks>();
};

}  // namespace

void run_on_slow_links(const profiles::HardwareProfile& links,
                       const std::function<void(comm::World&)>& body) {
  const auto hall = std::make_shared<comm::ThreadHall>(links.world_size, kPatience);
  std::exception_ptr first_error;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < links.world_size; ++rank) {
    threads.emplace_back([&, rank] {
      comm::WorldOptions options;
      options.backend = comm::BackendKind::kThreads;
      try {
        comm::World world(
            rank, links.world_size, options,
            std::make_shared<SlowFactory>(comm::make_thread_factory(hall, rank), links));
        body(world);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::current_exception();
        hall->leave(rank);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace galvatron::bench
