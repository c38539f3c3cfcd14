// Numbers on which all ranks of a world agree, so that they take the same decisions. Collective.
#pragma once
#include "galvatron/comm/world.h"

namespace galvatron::profiler {

class Agreement {
 public:
  explicit Agreement(const comm::World& world) : world_(&world) {}

  double max(double mine) const { return reduce(mine, comm::Reduction::kMax); }
  double sum(double mine) const { return reduce(mine, comm::Reduction::kSum); }
  double mean(double mine) const { return sum(mine) / world_->size(); }

 private:
  double reduce(double mine, comm::Reduction reduction) const;

  const comm::World* world_;
};

}  // namespace galvatron::profiler
