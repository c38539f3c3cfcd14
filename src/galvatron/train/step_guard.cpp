#include "galvatron/train/step_guard.h"

#include <string_view>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {
namespace {

bool is_out_of_memory(const std::exception& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what()).find("can't allocate memory") != std::string_view::npos;
}

}  // namespace

void guard_step(comm::World& world, std::int64_t step, const std::function<void()>& body) {
  try {
    body();
  } catch (const RuntimeFailure& failure) {
    const std::string sentence = detail::concat("step ", step, ": ", failure.what());
    world.abort(sentence);
    throw RuntimeFailure(sentence);
  } catch (const std::exception& error) {
    world.abort(comm::short_reason(error));
    if (!is_out_of_memory(error)) throw;
    throw RuntimeFailure("step ", step, ": rank ", world.rank(), " ran out of memory (",
                         comm::short_reason(error),
                         "); use a leaner plan, such as more ZeRO, recompute or microbatches");
  }
}

}  // namespace galvatron::train
