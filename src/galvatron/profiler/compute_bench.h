// How much ranks slow each other down when they compute, and compute and communication when they
// run beside each other; time of the optimizers.
#pragma once
#include <functional>
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

// Does something and tells what it took.
using Work = std::function<Milliseconds()>;

// Slow-down of each of `works` with 1, 2, 4, ... and all `local_ranks` of a machine at it at once,
// against one alone; the others wait. All take turns, round by round: a machine whose processors
// share their cores now and then does so for all of them. Ranks of a machine are consecutive.
// Collective.
std::vector<profiles::Contention> measure_contention(const comm::World& world,
                                                     const std::vector<Work>& works,
                                                     int local_ranks, int rounds);
// The same of the load. `rounds`: over the usual number of them.
profiles::Contention measure_contention(const comm::World& world, const ComputeLoad& load,
                                        int local_ranks, double rounds = 1);

// The load beside each collective that the runtime lets run beside compute, of the ranks of a
// machine and, where there are several machines, of all ranks. None for a world of one. REQUIRES:
// the world has a group of the ranks of each machine. Collective.
std::vector<profiles::MeasuredOverlap> measure_overlaps(comm::World& world, const ComputeLoad& load,
                                                        int local_ranks, double rounds = 1);

// Norm, clipping and update over fp32 states, ns per element, on this rank alone.
double measure_optimizer(const spec::OptimizerSpec& spec, c10::Device device);

}  // namespace galvatron::profiler
