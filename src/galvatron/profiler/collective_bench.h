// Times of collectives on the ranks of a world, with every group of a shape at work at once, as in
// training. Every rank runs the same calls in the same order.
#pragma once
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/units.h"
#include "galvatron/comm/world.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/profiles/hardware_profile.h"

namespace galvatron::profiler {

// Every shape that divides the world into whole groups: sizes from 2 that divide it, and strides
// that leave no rank over.
std::vector<profiles::GroupShape> group_shapes(int world_size);

// Neighbours in pipelines of every degree: size 2, and as stride each number of ranks of a stage. A
// stage without a partner (an odd number of stages) waits.
std::vector<profiles::GroupShape> pair_shapes(int world_size);

// The group of `rank` under a shape: global ranks, ascending. Of a pair the second may lie beyond
// the world.
std::vector<int> group_ranks(profiles::GroupShape shape, int rank);

// Message sizes to measure, ascending: 4 KiB, eight times as much, ... and `max_bytes`.
std::vector<Bytes> message_sizes(Bytes max_bytes);

class CollectiveBench {
 public:
  // Makes the groups of every shape. Collective.
  explicit CollectiveBench(comm::World& world);

  // Times over message_sizes(max_bytes). Sizes that would take longer than what is left of
  // `seconds` are left out, the smallest never. Point-to-point wants a shape of pair_shapes().
  // Collective.
  profiles::CollectiveTable measure(profiles::Collective collective, profiles::GroupShape shape,
                                    Bytes max_bytes, double seconds);

  // Of the points so far: the median of their relative_spread(), as a mean over the ranks. 0
  // without any.
  double typical_spread() const;

 private:
  using Operation = std::function<void()>;
  // One collective of `bytes`, whole elements for every rank.
  Operation make_operation(profiles::Collective collective, const comm::Group& group, Bytes bytes);
  Operation make_exchange(const comm::Group& pair, std::int64_t count);
  // Mean over the ranks that take part; an empty operation waits for the others.
  double time_of_point(const Operation& operation, double seconds);

  comm::World& world_;
  Agreement agreement_;
  std::vector<double> spreads_;
  at::Tensor input_, output_;  // flat fp32, as large as the largest message so far
};

}  // namespace galvatron::profiler
