#include "galvatron/comm/world.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <numeric>
#include <set>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/backend.h"
#include "galvatron/comm/backends/fake/local_backend.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/life_watch.h"

namespace galvatron::comm {
namespace {

// The one global order of creation: small sets first, then lexicographic.
struct CreationOrder {
  bool operator()(const std::vector<int>& a, const std::vector<int>& b) const {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  }
};

std::vector<int> sorted_set(std::vector<int> ranks, int world_size) {
  std::sort(ranks.begin(), ranks.end());
  GALV_CHECK(!ranks.empty() && ranks.front() >= 0 && ranks.back() < world_size,
             rank_set_name(ranks), " in a world of ", world_size);
  GALV_CHECK(std::adjacent_find(ranks.begin(), ranks.end()) == ranks.end(), rank_set_name(ranks),
             " name a rank twice");
  return ranks;
}

}  // namespace

std::string rank_set_name(const std::vector<int>& ranks) {
  constexpr std::size_t kShown = 8;
  std::string name = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks.size() > kShown && i == kShown / 2) {
      return name + ",...," + std::to_string(ranks.back()) + " (" + std::to_string(ranks.size()) +
             " ranks)";
    }
    name += (i ? "," : "") + std::to_string(ranks[i]);
  }
  return name;
}

Group::Backend::Backend(std::vector<int> ranks, int rank)
    : ranks_(std::move(ranks)), rank_(rank), name_(rank_set_name(ranks_)) {}

struct World::State {
  int rank = 0;
  int size = 1;
  WorldOptions options;
  std::shared_ptr<Factory> factory;
  std::map<std::vector<int>, std::shared_ptr<Group::Backend>> backends;
  std::vector<int> everyone;
  Group alone;
  std::shared_ptr<FlightRecorder> flight;
  mutable std::mutex mutex;          // over backends, which the watch's threads read
  std::string failure;               // that ended the job; later groups are dropped at once
  std::shared_ptr<LifeWatch> watch;  // goes first: its threads use the rest

  void create(const std::vector<int>& ranks) {
    const auto place = std::lower_bound(ranks.begin(), ranks.end(), rank);
    if (place == ranks.end() || *place != rank || backends.contains(ranks)) return;
    auto backend = factory->make(ranks, static_cast<int>(place - ranks.begin()));
    backend->record_in(flight);
    const std::lock_guard lock(mutex);
    if (!failure.empty()) backend->abort(failure);
    backends[ranks] = std::move(backend);
  }

  void abort(const std::string& why) noexcept {
    if (factory) factory->abort();
    const std::lock_guard lock(mutex);
    if (failure.empty()) failure = why;
    for (auto& [ranks, backend] : backends) backend->abort(why);
  }

  std::string failure_of_backends() const {
    const std::lock_guard lock(mutex);
    for (const auto& [ranks, backend] : backends) {
      if (std::string problem = backend->failure(); !problem.empty()) return problem;
    }
    return "";
  }
};

World::World(int rank, int size, WorldOptions options, std::shared_ptr<Factory> factory,
             std::shared_ptr<LifeWatch> watch)
    : state_(std::make_unique<State>()) {
  GALV_CHECK(rank >= 0 && rank < size, "rank ", rank, " of ", size);
  GALV_CHECK(factory || (size == 1 && options.backend != BackendKind::kNccl), "a world of ", size,
             " ranks needs a backend");
  state_->rank = rank;
  state_->size = size;
  state_->options = options;
  state_->factory = std::move(factory);
  state_->flight = watch ? watch->flight() : std::make_shared<FlightRecorder>();
  state_->watch = std::move(watch);
  if (state_->watch) {
    State* state = state_.get();
    state_->watch->listen([state](const std::string& why) { state->abort(why); },
                          [state] { return state->failure_of_backends(); });
  }
  state_->everyone.resize(size);
  std::iota(state_->everyone.begin(), state_->everyone.end(), 0);
  if (size > 1 || options.backend == BackendKind::kNccl) state_->create(state_->everyone);
  state_->alone = Group(make_local_backend({rank}, 0));
}

World::World(World&&) noexcept = default;
World& World::operator=(World&&) noexcept = default;

// A world that goes because an exception unwinds must not leave its peers waiting.
World::~World() {
  if (std::uncaught_exceptions() > 0) abort();
}

int World::rank() const { return state_->rank; }
int World::size() const { return state_->size; }
c10::Device World::device() const { return state_->options.device; }

void World::create_groups(const std::vector<std::vector<int>>& rank_sets) {
  std::set<std::vector<int>, CreationOrder> in_order;
  for (const auto& ranks : rank_sets) in_order.insert(sorted_set(ranks, state_->size));
  // Members may be late for good reasons, and the others cannot say for whom they wait.
  const auto scope = FlightRecorder::files(*state_->flight, "connecting the groups");
  for (const auto& ranks : in_order) {
    if (ranks.size() > 1) state_->create(ranks);
  }
}

Group World::group(const std::vector<int>& ranks) const {
  const std::vector<int> sorted = sorted_set(ranks, state_->size);
  GALV_CHECK(std::binary_search(sorted.begin(), sorted.end(), state_->rank), "rank ", state_->rank,
             " is not among ", rank_set_name(sorted));
  const auto found = state_->backends.find(sorted);
  if (found != state_->backends.end()) return Group(found->second);
  GALV_CHECK(sorted.size() == 1, "no group was created for ", rank_set_name(sorted));
  return state_->alone;
}

Group World::all() const { return group(state_->everyone); }

int World::num_communicators() const { return static_cast<int>(state_->backends.size()); }

FlightRecorder& World::flight() const { return *state_->flight; }

void World::abort(const std::string& why) noexcept {
  if (!state_) return;
  if (state_->watch) {
    state_->watch->give_up();
    // NCCL's peers wait on their devices, where no connection breaks.
    if (!why.empty() && state_->options.device.is_cuda()) state_->watch->tell_failure(why);
  }
  state_->abort("");
}

World fake_world(int rank, int size, c10::Device device) {
  WorldOptions options;
  options.backend = BackendKind::kFake;
  options.device = device;
  return World(rank, size, options, make_fake_factory());
}

World single_world(c10::Device device) {
  if (device.is_cuda()) require_cuda(device.has_index() ? device.index() : 0);
  WorldOptions options;
  options.device = device;
  return World(0, 1, options, nullptr);
}

}  // namespace galvatron::comm
