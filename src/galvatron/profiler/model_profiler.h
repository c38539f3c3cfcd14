// Measures one layer of each type of a model on this machine: times, and memory as the allocator
// counts it.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/profiler/hardware_profiler.h"
#include "galvatron/profiles/model_profile.h"

namespace galvatron::profiler {

struct ModelProfileOptions {
  std::int64_t seq_length = 0;
  spec::Precision precision = spec::Precision::kBf16;
  // Samples on one rank. Empty: 1, 2, 4, and twice as many until the time of a sample no longer
  // falls, as far as memory and `seconds` allow.
  std::vector<std::int64_t> microbatch_sizes;
  // Degrees to measure. Empty: the powers of two up to 8 that the model can be divided by.
  std::vector<int> tp_degrees;
  double seconds = 20;  // for the repetitions; every case is measured at least three times
  // Ranks of this machine, all of which call: the first one measures alone, then all at once, how
  // much the layers slow each other down. null: this process is alone.
  comm::World* ranks = nullptr;
  c10::Device device = c10::kCPU;
  std::int64_t seed = 0;
  Progress progress;
};

// With as many threads as torch is set to: choose those of a rank in
// training. ConfigError for a sequence longer than the model allows and for degrees that it cannot
// be divided by. REQUIRES: the runtime's memory meter is installed. Whole on the first rank; others
// have only the layers' contention.
profiles::ModelProfile profile_model(const spec::ModelSpec& model,
                                     const ModelProfileOptions& options);

}  // namespace galvatron::profiler
