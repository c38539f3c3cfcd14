#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/gloo/gloo_backend.h"
#include "galvatron/comm/backends/threads/thread_backend.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"

namespace galvatron::comm {
namespace {

// The first failure in time; later ones are its echo.
class FirstError {
 public:
  void record(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

using MakeFactory = std::function<std::shared_ptr<World::Factory>(int rank)>;

void run_rank(int rank, int size, const WorldOptions& options, const MakeFactory& make_factory,
              const std::function<void(World&)>& body, FirstError& first_error) {
  at::set_num_threads(1);  // ranks are the parallelism here
  std::shared_ptr<World::Factory> factory;
  try {
    factory = make_factory(rank);
    World world(rank, size, options, factory);
    try {
      body(world);
    } catch (...) {
      first_error.record(std::current_exception());
      world.abort();
    }
  } catch (...) {
    first_error.record(std::current_exception());
    if (factory) factory->abort();
  }
}

MakeFactory factory_maker(int size, const WorldOptions& options) {
  if (options.backend == BackendKind::kThreads) {
    const auto hall = std::make_shared<ThreadHall>(size, options.timeout);
    return [hall](int rank) { return make_thread_factory(hall, rank); };
  }
  GALV_CHECK(options.backend == BackendKind::kGloo, "rank threads use the threads or gloo backend");
  const auto store = c10::make_intrusive<c10d::HashStore>();
  store->setTimeout(options.timeout);
  const auto network = std::make_shared<GlooNetwork>("", "127.0.0.1");
  return [=, timeout = options.timeout](int) { return make_gloo_factory(store, network, timeout); };
}

}  // namespace

void run_rank_threads(int size, const std::function<void(World&)>& body, BackendKind backend,
                      std::chrono::milliseconds timeout) {
  GALV_CHECK(size >= 1, size, " ranks");
  WorldOptions options;
  options.backend = backend;
  options.timeout = timeout;
  const MakeFactory make_factory = factory_maker(size, options);
  FirstError first_error;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back(
        [&, rank] { run_rank(rank, size, options, make_factory, body, first_error); });
  }
  for (std::thread& thread : threads) thread.join();
  first_error.rethrow();
}

}  // namespace galvatron::comm
