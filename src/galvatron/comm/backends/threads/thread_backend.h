// Ranks as threads of one process: the default of tests and of the plan fuzzer.
#pragma once
#include <memory>

#include "galvatron/comm/backends/backend.h"
#include "galvatron/comm/backends/threads/thread_hall.h"

namespace galvatron::comm {

// One per rank thread; all share one hall.
std::shared_ptr<World::Factory> make_thread_factory(std::shared_ptr<ThreadHall> hall, int rank);

}  // namespace galvatron::comm
