// Ranks on cores of their own.
#pragma once
#include <string>

#include "galvatron/comm/pinning.h"
#include "galvatron/comm/world.h"

namespace galvatron::train {

// ConfigError where this build cannot do what `mode` asks for.
void require_pinning(comm::PinMode mode);

// Binds this rank to its part of the CPUs that it and others of its machine may use, and gives it
// as many threads as there are cores, unless the user has set them ($OMP_NUM_THREADS). Where
// nothing is bound, ranks of srun and mpirun get their share of the threads, which OpenMP would
// give each rank for itself. One line about rank 0, or "" where nothing is bound. Collective.
std::string pin_rank(comm::PinMode mode, comm::World& world);

}  // namespace galvatron::train
