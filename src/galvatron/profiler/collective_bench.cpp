#include "galvatron/profiler/collective_bench.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::profiler {
namespace {

using profiles::Collective;
using profiles::GroupShape;

constexpr Bytes kSmallest = kibibytes(1);
constexpr std::int64_t kLadderFactor = 8;
// Measured however little time there is: a line through small messages alone says nothing of large
// ones.
constexpr Bytes kAlways = mebibytes(4);
constexpr std::int64_t kElementBytes = 4;
// A turn of a small message is several operations; a message that takes long has few turns.
constexpr double kTurnMs = 3;
constexpr int kMostPerTurn = 8;
constexpr double kLongMs = 50;
constexpr int kFewestTurns = 3, kMostTurns = 40;

// Whole elements for every rank of the group.
Bytes rounded(Bytes bytes, int group_size) {
  const std::int64_t slice = kElementBytes * group_size;
  return {std::max<std::int64_t>(1, bytes.value / slice) * slice};
}

}  // namespace

std::vector<GroupShape> group_shapes(int world_size) {
  std::vector<GroupShape> shapes;
  for (const std::int64_t size : divisors(world_size)) {
    if (size == 1) continue;
    for (const std::int64_t stride : divisors(world_size / size)) {
      shapes.push_back({static_cast<int>(size), static_cast<int>(stride)});
    }
  }
  return shapes;
}

std::vector<GroupShape> pair_shapes(int world_size) {
  std::vector<GroupShape> shapes;
  for (const std::int64_t stride : divisors(world_size)) {
    if (stride < world_size) shapes.push_back({2, static_cast<int>(stride)});
  }
  return shapes;
}

std::string to_text(const CollectiveCase& entry) {
  return fmt::format("{} on {} ranks, stride {}", profiles::to_text(entry.collective),
                     entry.shape.size, entry.shape.stride);
}

std::vector<int> group_ranks(GroupShape shape, int rank) {
  const int span = shape.size * shape.stride;
  const int first = rank / span * span + rank % shape.stride;
  std::vector<int> ranks;
  for (int i = 0; i < shape.size; ++i) ranks.push_back(first + i * shape.stride);
  return ranks;
}

std::vector<Bytes> message_sizes(Bytes max_bytes) {
  std::vector<Bytes> sizes;
  for (Bytes size = kSmallest; size < max_bytes; size = size * kLadderFactor) sizes.push_back(size);
  sizes.push_back(std::max(kSmallest, max_bytes));
  return sizes;
}

CollectiveBench::CollectiveBench(comm::World& world)
    : world_(world), agreement_(world), gap_(world.device()) {
  std::vector<GroupShape> shapes = group_shapes(world.size());
  for (const GroupShape pair : pair_shapes(world.size())) shapes.push_back(pair);
  std::vector<std::vector<int>> sets;
  for (const GroupShape shape : shapes) {
    for (int rank = 0; rank < world.size(); ++rank) {
      const std::vector<int> ranks = group_ranks(shape, rank);
      if (ranks.back() < world.size()) sets.push_back(ranks);
    }
  }
  world.create_groups(sets);
}

bool CollectiveBench::takes_part(const CollectiveCase& entry) const {
  return group_ranks(entry.shape, world_.rank()).back() < world_.size();
}

CollectiveBench::Operation CollectiveBench::make_operation(const CollectiveCase& entry,
                                                           Bytes bytes) {
  if (!takes_part(entry)) return {};
  const comm::Group group = world_.group(group_ranks(entry.shape, world_.rank()));
  const std::int64_t n = group.size(), count = bytes.value / kElementBytes;
  if (!input_.defined() || input_.numel() < count) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(world_.device());
    input_ = at::zeros({count}, options);
    output_ = at::zeros({count}, options);
  }
  at::Tensor whole = output_.narrow(0, 0, count), part = output_.narrow(0, 0, count / n);
  const at::Tensor from = input_.narrow(0, 0, count), from_part = input_.narrow(0, 0, count / n);
  switch (entry.collective) {
    case Collective::kAllReduce:
      return [=]() mutable { group.all_reduce(whole); };
    case Collective::kAllGather:
      return [=]() mutable { group.all_gather(whole, from_part); };
    case Collective::kReduceScatter:
      return [=]() mutable { group.reduce_scatter(part, from); };
    case Collective::kAllToAll: {
      const std::vector<std::int64_t> sizes(static_cast<std::size_t>(n), count / n);
      return [=]() mutable { group.all_to_all(whole, from, sizes, sizes); };
    }
    case Collective::kPointToPoint:
      return make_exchange(group, count);
  }
  GALV_CHECK(false, "unknown collective");
}

// There and back again: two messages.
CollectiveBench::Operation CollectiveBench::make_exchange(const comm::Group& pair,
                                                          std::int64_t count) {
  GALV_CHECK(pair.size() == 2, "point to point in ", pair.name());
  const at::Tensor out = input_.narrow(0, 0, count), in = output_.narrow(0, 0, count);
  const int peer = 1 - pair.rank();
  return [=] {
    constexpr int kThere = 0, kBack = 1;
    if (pair.rank() == 0) {
      comm::Pending sent = pair.send(out, peer, kThere);
      pair.receive(in, peer, kBack).wait();
      sent.wait();
    } else {
      pair.receive(in, peer, kThere).wait();
      pair.send(out, peer, kBack).wait();
    }
  };
}

double CollectiveBench::time_of_operation(const Operation& operation, int times) {
  double ms = 0;
  for (int i = 0; i < times; ++i) {
    gap_.run();
    if (operation) ms += time_of(operation, world_.device()).value;
  }
  return ms / times;
}

double CollectiveBench::agreed(double mine, bool takes_part) const {
  const double weight = takes_part ? 1 : 0;
  return agreement_.sum(weight * mine) / agreement_.sum(weight);
}

double CollectiveBench::typical_spread() const { return spreads_.empty() ? 0 : median(spreads_); }

void CollectiveBench::look_at(const CollectiveCase& entry, Bytes max_bytes, double seconds,
                              std::vector<Point>& points) {
  const bool has_part = takes_part(entry);
  double last_ms = 0;
  Bytes last;
  for (const Bytes size : message_sizes(max_bytes)) {
    const Bytes bytes = rounded(size, entry.shape.size);
    const double growth = static_cast<double>(bytes.value) / static_cast<double>(last.value);
    // This look, whose first call pays for connections and pages, and the fewest turns.
    if (size > kAlways && last_ms * growth * (2 + kFewestTurns) > seconds * 1000) break;
    const Operation operation = make_operation(entry, bytes);
    if (operation) operation();
    last_ms = agreed(time_of_operation(operation, 1), has_part);
    last = bytes;
    points.push_back({&entry, bytes, last_ms, {}});
  }
}

std::vector<profiles::CollectiveTable> CollectiveBench::measure(
    const std::vector<CollectiveCase>& cases, Bytes max_bytes, double seconds,
    const std::function<void(double, const std::string&)>& progress) {
  const Deadline deadline(seconds);
  std::vector<Point> points;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const double left = std::max(0.0, agreement_.max(deadline.seconds_left()));
    if (progress) progress(1 - left / std::max(seconds, 1e-9), to_text(cases[i]));
    look_at(cases[i], max_bytes, left / static_cast<double>(cases.size() - i), points);
  }
  for (int turn = 0; turn < kMostTurns; ++turn) {
    const double left = agreement_.max(deadline.seconds_left());
    if (left <= 0 && turn >= kFewestTurns) break;
    for (Point& point : points) {
      if (point.first_ms > kLongMs && turn >= kFewestTurns) continue;
      if (progress) progress(1 - left / std::max(seconds, 1e-9), to_text(*point.entry));
      const int times = std::clamp(static_cast<int>(kTurnMs / point.first_ms), 1, kMostPerTurn);
      const Operation operation = make_operation(*point.entry, point.bytes);
      point.rounds.push_back(time_of_operation(operation, times));
    }
  }
  std::vector<profiles::CollectiveTable> tables;
  for (const CollectiveCase& entry : cases) {
    const double messages = entry.collective == Collective::kPointToPoint ? 2 : 1;
    std::vector<profiles::CurvePoint> curve;
    for (const Point& point : points) {
      if (point.entry != &entry) continue;
      const bool has_part = takes_part(entry);
      spreads_.push_back(agreed(has_part ? relative_spread(point.rounds) : 0, has_part));
      const double ms = agreed(has_part ? median(point.rounds) : 0, has_part);
      curve.push_back({static_cast<double>(point.bytes.value), ms / messages});
    }
    tables.push_back({entry.collective, entry.shape, profiles::Curve(std::move(curve))});
  }
  return tables;
}

}  // namespace galvatron::profiler
