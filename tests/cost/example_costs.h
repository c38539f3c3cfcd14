// Inputs whose costs are worked out by hand: gpt2-tiny (hidden 64, 4 heads, inner 256, vocabulary
// 509, 128 positions, 2 blocks, tied) on a node of 8 ranks with links of 100 bytes per microsecond
// and no latency.
#pragma once
#include "galvatron/cost/cost_model.h"
#include "galvatron/plan/plan.h"

namespace galvatron::cost {

constexpr double kBandwidth = 1e5;              // bytes per ms
constexpr std::int64_t kBlockElements = 49984;  // a multiple of 64
constexpr std::int64_t kTokensElements = 509 * 64;
constexpr int kEmbedding = 0, kBlock = 1, kHead = 3;  // layers

struct Example {
  spec::ModelSpec model = spec::load_model("gpt2-tiny");
  spec::JobSpec job{64, 8, spec::Precision::kFp32};
  profiles::HardwareProfile hardware;
  profiles::ModelProfile profile;

  // Per sample: embedding 1 + 1 ms, block 4 + 8 ms, head 3 + 6 ms; a block keeps 1000 bytes, 600
  // under selective.
  explicit Example(spec::Precision precision = spec::Precision::kFp32) {
    job.precision = precision;
    hardware.world_size = 8;
    hardware.ranks_per_node = 8;
    hardware.links = {{"intra_node", {0, kBandwidth}}, {"inter_node", {0, kBandwidth / 10}}};
    hardware.memory_reserve = {5000};
    hardware.optimizer_ns_per_element = 10;
    profile.model = model.name;
    profile.seq_length = 64;
    profile.precision = precision;
    profile.types = {{"embedding", {}, {measurement(1, 1, 0, 16, 16)}},
                     {"block", {}, {measurement(4, 8, 1, 1000, 600)}},
                     {"head", {}, {measurement(3, 6, 0, 0, 0)}}};
    prepare();
  }

  // Again, after a change of the profile.
  void prepare() { profile.prepare(model, 64, job.precision); }

  CostInputs inputs() const { return {model, job, hardware, profile}; }

  plan::Plan plan(int world_size, const plan::LayerStrategy& strategy, int pp_degree = 1,
                  int num_microbatches = 2) const {
    return plan::uniform_plan(model, job, world_size, strategy, pp_degree, num_microbatches);
  }

 private:
  static profiles::LayerMeasurement measurement(double forward, double backward, double selective,
                                                std::int64_t activation, std::int64_t kept) {
    return {1, 1, {forward}, {backward}, {selective}, {}, {}, {activation}, {kept}, {50}, {70}};
  }
};

}  // namespace galvatron::cost
