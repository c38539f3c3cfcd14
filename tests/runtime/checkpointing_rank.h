// A rank of a test that saves and loads checkpoints.
#pragma once
#include "galvatron/comm/torch_headers.h"
#include "galvatron/data/sample_source.h"
#include "galvatron/models/registry.h"
#include "galvatron/train/checkpoint.h"
#include "galvatron/train/trainer.h"

#include "runtime/plan_training.h"

namespace galvatron::testing {

// For trainers whose steps are not their own.
class NoSamples : public data::SampleSource {
 public:
  std::int64_t size() const override { return 1; }
  std::int64_t seq_length() const override { return 1; }
  at::Tensor fetch(spec::InputKind, std::int64_t, Range, Range) const override { return {}; }
  double num_labels(std::int64_t, std::int64_t) const override { return 1; }
};

// The engine of a rank and the trainer over it. The seed is that of dropout and, unless a
// checkpoint shall make them, of the weights.
struct CheckpointingRank {
  CheckpointingRank(const TrainingCase& job, const plan::Plan& plan, comm::World& world,
                    std::uint64_t seed, bool makes_weights = true)
      : engine(job.model, plan, world, models::make_layer, {seed, job.seq_length, makes_weights}),
        trainer(engine, samples, nullptr, options_of(job)) {}

  static train::TrainerOptions options_of(const TrainingCase& job) {
    train::TrainerOptions options;
    options.optimizer = job.optimizer;
    return options;
  }

  NoSamples samples;
  runtime::Engine engine;
  train::Trainer trainer;
};

}  // namespace galvatron::testing
