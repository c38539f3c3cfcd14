// Times of collectives on the ranks of a world, with every group of a shape at work at once, as in
// training. Every rank runs the same calls in the same order.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/units.h"
#include "galvatron/comm/world.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/profiler/reference_load.h"
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

// Message sizes to measure, ascending: 1 KiB, eight times as much, ... and `max_bytes`.
std::vector<Bytes> message_sizes(Bytes max_bytes);

struct CollectiveCase {
  profiles::Collective collective = profiles::Collective::kAllReduce;
  profiles::GroupShape shape;  // of pair_shapes() for point to point
};
std::string to_text(const CollectiveCase& entry);

class CollectiveBench {
 public:
  // Makes the groups of every shape. Collective.
  explicit CollectiveBench(comm::World& world);

  // A table of each case over message_sizes(max_bytes). Sizes that would take longer than their
  // share of `seconds` are left out, those up to 4 MiB never. All points take turns until the time
  // is up, so that a machine that gets slower and faster does so for all of them. Collective.
  // `progress`: share done, and what is measured.
  std::vector<profiles::CollectiveTable> measure(
      const std::vector<CollectiveCase>& cases, Bytes max_bytes, double seconds,
      const std::function<void(double, const std::string&)>& progress = {});

  // Of the points so far: the median of their relative_spread(), as a mean over the ranks. 0
  // without any.
  double typical_spread() const;

 private:
  using Operation = std::function<void()>;
  // What is measured of one size of a case.
  struct Point {
    const CollectiveCase* entry = nullptr;
    Bytes bytes;
    double first_ms = 0;         // of the first look, which decides how often it has a turn
    std::vector<double> rounds;  // ms, of this rank
  };

  // One collective of `bytes`, whole elements for every rank; empty where this rank has no part.
  Operation make_operation(const CollectiveCase& entry, Bytes bytes);
  Operation make_exchange(const comm::Group& pair, std::int64_t count);
  // Adds the sizes of a case that fit into `seconds`.
  void look_at(const CollectiveCase& entry, Bytes max_bytes, double seconds,
               std::vector<Point>& points);
  // As training sees it: behind a piece of compute, from when this rank comes to it, so that
  // waiting for ranks that come later counts. Mean of `times`.
  double time_of_operation(const Operation& operation, int times);
  // Mean over the ranks that take part.
  double agreed(double mine, bool takes_part) const;
  bool takes_part(const CollectiveCase& entry) const;

  comm::World& world_;
  Agreement agreement_;
  ReferenceLoad gap_;
  std::vector<double> spreads_;
  at::Tensor input_, output_;  // flat fp32, as large as the largest message so far
};

}  // namespace galvatron::profiler
