// How much ranks slow each other down when they compute, and compute and communication when they
// run beside each other; time of the optimizers.
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/comm/world.h"
#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/spec/optimizer_spec.h"

namespace galvatron::profiler {

// Work like a Transformer block's: two matrix products and the element-wise work between them.
class ComputeLoad {
 public:
  struct Shape {
    std::int64_t tokens, hidden, inner;
    at::ScalarType type;
  };
  // Of a size that keeps the device busy.
  explicit ComputeLoad(c10::Device device);
  ComputeLoad(c10::Device device, const Shape& shape);
  void run(int times) const;
  // Calls of run(1) that take about `ms` on this rank.
  int times_for(double ms) const;
  c10::Device device() const { return input_.device(); }

 private:
  at::Tensor input_, up_, down_;
};

// Slow-down of the load with 1, 2, 4, ... and all `local_ranks` of a machine computing at once,
// against one alone; the others wait. Ranks of a machine are consecutive. `rounds`: over the usual
// number of them. Collective.
std::vector<profiles::ContentionPoint> measure_contention(const comm::World& world,
                                                          const ComputeLoad& load, int local_ranks,
                                                          double rounds = 1);

// HardwareProfile::overlap_slowdown: the load beside an all-reduce over all ranks that takes about
// as long: 1 where both go at full speed, 2 as if one after the other, more where they cost each
// other caches and turns (ranks without a core to spare). 1 for a world of one. Collective.
double measure_overlap(const comm::World& world, const ComputeLoad& load, double rounds = 1);

// Norm, clipping and update over fp32 states, ns per element, on this rank alone.
double measure_optimizer(const spec::OptimizerSpec& spec, c10::Device device);

}  // namespace galvatron::profiler
