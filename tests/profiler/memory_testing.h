// Predicted memory beside measured: one rank of a plan runs alone in a world whose collectives do
// nothing; its memory is that of training.
#pragma once
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/cost/plan_cost.h"
#include "galvatron/models/registry.h"
#include "galvatron/profiler/model_profiler.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/optimizers/optimizer.h"

#include "tiny_models.h"

namespace galvatron::profiler {

inline void measure_alone() {
  runtime::MemoryMeter::install();
  at::set_num_threads(1);
}

// Peak of tensors over the second step of rank `rank`, the first one warm.
inline std::int64_t measured_peak(const spec::ModelSpec& model, const plan::Plan& plan, int rank,
                                  const std::string& optimizer_name) {
  const runtime::MemoryMeter before(c10::kCPU);
  const Bytes already = before.current();
  comm::World world = comm::fake_world(rank, plan.world_size);
  runtime::Engine engine(model, plan, world, models::make_layer,
                         {1, model.choose_seq_length(kSeqLength, kSeqLength), true});
  const auto optimizer = train::make_optimizer(engine.units(), {optimizer_name, {}});
  runtime::MemoryMeter meter(c10::kCPU);
  for (int step = 0; step < 2; ++step) {
    if (step == 1) meter.reset_peak();
    Zeros inputs(model.image);
    engine.forward_backward(inputs, step);
    optimizer->step(1e-3, train::clip_factor(engine.gradient_norm(), 1));
    engine.publish();
  }
  return (meter.peak() - already).value;
}

// Measured once for each model and precision.
inline const profiles::ModelProfile& measured_profile(const spec::ModelSpec& model,
                                                      spec::Precision precision) {
  static std::map<std::pair<std::string, spec::Precision>, profiles::ModelProfile> made;
  const auto key = std::pair(model.name, precision);
  if (!made.contains(key)) {
    ModelProfileOptions options;
    options.seq_length = model.choose_seq_length(kSeqLength, kSeqLength);
    options.precision = precision;
    options.microbatch_sizes = {1, 2, 4};
    options.seconds = 0;
    made[key] = profile_model(model, options);
    made[key].prepare(model, options.seq_length, precision);
  }
  return made[key];
}

struct StageBytes {
  std::int64_t predicted = 0, measured = 0;
};

// Of every pipeline rank of a plan.
inline std::vector<StageBytes> memory_of(const std::string& name, const spec::ModelSpec& model,
                                         const spec::JobSpec& job, const plan::Plan& plan) {
  profiles::HardwareProfile hardware;
  hardware.world_size = hardware.ranks_per_node = plan.world_size;
  hardware.links = {{"intra_node", {0.01, 1e6}}, {"inter_node", {0.01, 1e6}}};
  const cost::PlanCost predicted =
      cost::estimate({model, job, hardware, measured_profile(model, plan.precision)}, plan);
  std::vector<StageBytes> out;
  // Of each pipeline rank the last, which has the larger parts of what does not divide.
  for (int stage = 0; stage < plan.pipeline.degree; ++stage) {
    const int rank = (stage + 1) * plan.ranks_per_stage() - 1;
    out.push_back({predicted.stages[static_cast<std::size_t>(stage)].memory.total().value,
                   measured_peak(model, plan, rank, job.optimizer->name)});
    const auto [expected, measured] = out.back();
    std::printf("%-30s stage %d: predicted %10ld  measured %10ld  ratio %.3f\n", name.c_str(),
                stage, expected, measured,
                static_cast<double>(expected) / static_cast<double>(measured));
  }
  return out;
}

// `least`, `most`: of predicted over measured.
inline void expect_between(const std::vector<StageBytes>& stages, double least, double most,
                           std::int64_t spare_bytes, const std::string& what) {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto predicted = static_cast<double>(stages[i].predicted);
    const auto measured = static_cast<double>(stages[i].measured);
    const auto spare = static_cast<double>(spare_bytes);
    EXPECT_GT(predicted, least * measured - spare) << what << ", stage " << i;
    EXPECT_LT(predicted, most * measured + spare) << what << ", stage " << i;
  }
}

}  // namespace galvatron::profiler
