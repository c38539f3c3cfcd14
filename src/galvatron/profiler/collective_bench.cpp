#include "galvatron/profiler/collective_bench.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::profiler {
namespace {

using profiles::Collective;
using profiles::GroupShape;

constexpr Bytes kSmallest = kibibytes(4);
constexpr std::int64_t kLadderFactor = 8;
// Measured however little time there is: a line through small messages alone says nothing of large
// ones.
constexpr Bytes kAlways = mebibytes(2);
constexpr std::int64_t kElementBytes = 4;
// A round is long enough that starting and stopping the clock does not count.
constexpr double kRoundMs = 5;
constexpr int kMaxOperationsPerRound = 32;
constexpr int kRoundsPerBatch = 3, kMaxRounds = 12;
constexpr double kStableSpread = 0.1;

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

CollectiveBench::CollectiveBench(comm::World& world) : world_(world), agreement_(world) {
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

CollectiveBench::Operation CollectiveBench::make_operation(Collective collective,
                                                           const comm::Group& group, Bytes bytes) {
  const std::int64_t n = group.size(), count = bytes.value / kElementBytes;
  if (!input_.defined() || input_.numel() < count) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(world_.device());
    input_ = at::zeros({count}, options);
    output_ = at::zeros({count}, options);
  }
  at::Tensor whole = output_.narrow(0, 0, count), part = output_.narrow(0, 0, count / n);
  const at::Tensor from = input_.narrow(0, 0, count), from_part = input_.narrow(0, 0, count / n);
  switch (collective) {
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

double CollectiveBench::time_of_point(const Operation& operation, double seconds) {
  const c10::Device device = world_.device();
  const Deadline deadline(seconds);
  const auto run = [&] {
    if (operation) operation();
  };
  run();  // first use: connections, pages
  const double once = agreement_.max(time_of(run, device).value);
  const int per_round =
      std::clamp(static_cast<int>(std::ceil(kRoundMs / once)), 1, kMaxOperationsPerRound);
  std::vector<double> rounds;
  while (static_cast<int>(rounds.size()) < kMaxRounds) {
    for (int i = 0; i < kRoundsPerBatch; ++i) {
      const auto round = [&] {
        for (int j = 0; j < per_round; ++j) run();
      };
      rounds.push_back(time_of(round, device).value / per_round);
    }
    const bool enough = deadline.passed() || relative_spread(rounds) <= kStableSpread;
    if (agreement_.mean(enough ? 1 : 0) >= 0.5) break;
  }
  spreads_.push_back(agreement_.mean(relative_spread(rounds)));
  const double weight = operation ? 1 : 0;
  return agreement_.sum(weight * median(std::move(rounds))) / agreement_.sum(weight);
}

double CollectiveBench::typical_spread() const { return spreads_.empty() ? 0 : median(spreads_); }

profiles::CollectiveTable CollectiveBench::measure(Collective collective, GroupShape shape,
                                                   Bytes max_bytes, double seconds) {
  const std::vector<int> ranks = group_ranks(shape, world_.rank());
  const bool takes_part = ranks.back() < world_.size();
  const comm::Group group = takes_part ? world_.group(ranks) : comm::Group();
  const double messages = collective == Collective::kPointToPoint ? 2 : 1;
  const std::vector<Bytes> sizes = message_sizes(max_bytes);
  const auto operation_of = [&](Bytes bytes) {
    return takes_part ? make_operation(collective, group, bytes) : Operation();
  };
  // The making of communicators and connections, before the clock.
  if (const Operation first = operation_of(rounded(sizes[0], shape.size))) first();
  synchronize(world_.device());
  const Deadline deadline(seconds);
  std::vector<profiles::CurvePoint> points;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double left = agreement_.max(deadline.seconds_left());
    if (sizes[i] > kAlways) {
      // Warm-up, one timed call and a batch of rounds, of a size that takes in proportion.
      const double growth = static_cast<double>(sizes[i].value) / points.back().x;
      const double expected_ms = points.back().y * messages * growth * (2 + kRoundsPerBatch);
      if (expected_ms > left * 1000) break;
    }
    const Bytes bytes = rounded(sizes[i], shape.size);
    const double ms =
        time_of_point(operation_of(bytes), left / static_cast<double>(sizes.size() - i));
    points.push_back({static_cast<double>(bytes.value), ms / messages});
  }
  return {collective, shape, profiles::Curve(std::move(points))};
}

}  // namespace galvatron::profiler
