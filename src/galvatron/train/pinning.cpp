#include "galvatron/train/pinning.h"

#include <vector>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/gather.h"

namespace galvatron::train {
namespace {

bool is_asked_for(comm::PinMode mode) {
  return mode == comm::PinMode::kNuma || mode == comm::PinMode::kCore;
}

}  // namespace

void require_pinning(comm::PinMode mode) {
  if (is_asked_for(mode) && !comm::knows_topology()) comm::read_topology();  // says why not
}

std::string pin_rank(comm::PinMode mode, comm::World& world) {
  if (mode == comm::PinMode::kNone || (!is_asked_for(mode) && !comm::knows_topology())) return "";
  const std::vector<std::string> texts = gather_texts(world, comm::own_cpus());
  const comm::Sharing sharing = comm::sharing_of(texts, world.rank());
  const comm::Pin pin = comm::pin_of(mode, comm::read_topology(), sharing.index, sharing.num_ranks);
  if (pin.cpus.empty()) {
    if (comm::nobody_sets_threads()) at::set_num_threads(pin.threads);
    return "";
  }
  comm::bind_to(pin.cpus);
  if (!comm::user_sets_threads()) at::set_num_threads(pin.threads);
  const int threads = at::get_num_threads();
  return fmt::format("pinned: rank 0 of {} has {} (CPUs {}) and {} {}", world.size(), pin.place,
                     comm::cpu_list(pin.cpus), threads, threads == 1 ? "thread" : "threads");
}

}  // namespace galvatron::train
