#include "galvatron/comm/world.h"

#include <algorithm>
#include <exception>
#include <numeric>
#include <set>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/backend.h"
#include "galvatron/comm/backends/fake/local_backend.h"
#include "galvatron/comm/cuda.h"

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

  void create(const std::vector<int>& ranks) {
    const auto place = std::lower_bound(ranks.begin(), ranks.end(), rank);
    if (place == ranks.end() || *place != rank || backends.contains(ranks)) return;
    backends[ranks] = factory->make(ranks, static_cast<int>(place - ranks.begin()));
  }
};

World::World(int rank, int size, WorldOptions options, std::shared_ptr<Factory> factory)
    : state_(std::make_unique<State>()) {
  GALV_CHECK(rank >= 0 && rank < size, "rank ", rank, " of ", size);
  GALV_CHECK(factory || (size == 1 && options.backend != BackendKind::kNccl), "a world of ", size,
             " ranks needs a backend");
  state_->rank = rank;
  state_->size = size;
  state_->options = options;
  state_->factory = std::move(factory);
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

void World::abort() noexcept {
  if (!state_) return;
  if (state_->factory) state_->factory->abort();
  for (auto& [ranks, backend] : state_->backends) backend->abort();
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
