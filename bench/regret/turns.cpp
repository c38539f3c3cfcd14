#include "regret/turns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <random>

#include "galvatron/base/progress.h"
#include "galvatron/models/registry.h"
#include "galvatron/profiler/agreement.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/job_samples.h"
#include "galvatron/train/train_job.h"
#include "galvatron/train/trainer.h"

namespace galvatron::bench {
namespace {

constexpr std::int64_t kManySteps = 1'000'000;
// The machine has changed in between where the references around a turn differ by more: it is
// taken again, so often at most.
constexpr double kSteady = 0.08;
constexpr int kMostRetries = 2;

// One plan's training on this rank.
class Runner {
 public:
  Runner(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
         const data::SampleSource& samples, const TurnsOptions& options)
      : world_(world), options_(options), meter_(world.device()), before_(meter_.current()) {
    engine_ = std::make_unique<runtime::Engine>(
        model, plan, world, options.layers ? options.layers(plan) : models::make_layer,
        runtime::EngineOptions{options.seed, options.seq_length, true});
    train::TrainerOptions trainer;
    trainer.num_steps = kManySteps;
    trainer_ = std::make_unique<train::Trainer>(*engine_, samples, nullptr, trainer);
    own_ = meter_.current() - before_;
  }

  // ms of a step of the slowest rank.
  double turn() {
    for (int i = 0; i < options_.warm_steps; ++i) step();
    double ms = 0;
    for (int i = 0; i < options_.timed_steps; ++i) ms += step();
    return ms / options_.timed_steps;
  }

  Bytes peak() const {
    const double most = profiler::Agreement(world_).max(static_cast<double>(peak_.value));
    return {static_cast<std::int64_t>(most)};
  }

 private:
  double step() {
    const profiler::Agreement agreement(world_);
    world_.all().barrier();
    const Bytes others = meter_.current() - own_;
    const double start = now_seconds();
    const train::StepRecord record = trainer_->step();
    const double ms = (now_seconds() - start) * 1000;
    peak_ = std::max(peak_, record.memory - others);
    return agreement.max(ms);
  }

  comm::World& world_;
  const TurnsOptions& options_;
  runtime::MemoryMeter meter_;
  Bytes before_, own_, peak_;
  std::unique_ptr<runtime::Engine> engine_;
  std::unique_ptr<train::Trainer> trainer_;
};

// The plan that others are measured against, twice: what an engine takes depends a little on where
// its memory lies, so that the two take turns.
class References {
 public:
  References(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
             const data::SampleSource& samples, const TurnsOptions& options)
      : runners_{Runner(model, plan, world, samples, options),
                 Runner(model, plan, world, samples, options)} {
    for (Runner& runner : runners_) runner.turn();
  }
  double turn() { return runners_[static_cast<std::size_t>(turns_++ % 2)].turn(); }
  Bytes peak() const { return std::max(runners_[0].peak(), runners_[1].peak()); }

 private:
  std::array<Runner, 2> runners_;
  int turns_ = 0;
};

bool agree(double before, double after) {
  return std::abs(after - before) <= kSteady * std::min(before, after);
}

}  // namespace

std::vector<Measured> take_turns(const spec::ModelSpec& model,
                                 const std::vector<const plan::Plan*>& plans, comm::World& world,
                                 const TurnsOptions& options) {
  train::TrainJob job;
  const auto samples = train::make_samples(job, model, options.seq_length, data::SplitPart::kTrain);
  std::mt19937_64 random(options.seed);
  std::vector<Measured> out(plans.size());
  References references(model, *plans[0], world, *samples, options);

  for (std::size_t begin = 1; begin < plans.size();) {
    const std::size_t end =
        std::min(plans.size(), begin + static_cast<std::size_t>(options.at_once));
    std::vector<std::size_t> order;
    std::vector<std::unique_ptr<Runner>> runners(plans.size());
    for (std::size_t i = begin; i < end; ++i) {
      runners[i] = std::make_unique<Runner>(model, *plans[i], world, *samples, options);
      runners[i]->turn();
      order.push_back(i);
    }
    for (int round = 0; round < options.rounds; ++round) {
      std::shuffle(order.begin(), order.end(), random);
      double before = references.turn();
      for (const std::size_t i : order) {
        if (options.progress) options.progress(static_cast<int>(begin), "");
        double ms = runners[i]->turn(), after = references.turn();
        for (int retry = 0; retry < kMostRetries && !agree(before, after); ++retry) {
          before = after;
          ms = runners[i]->turn();
          after = references.turn();
        }
        out[i].ms.push_back(ms);
        out[i].relative.push_back(ms / ((before + after) / 2));
        out[0].ms.push_back(after);
        out[0].relative.push_back(1);
        before = after;
      }
    }
    for (std::size_t i = begin; i < end; ++i) out[i].peak = runners[i]->peak();
    begin = end;
  }
  out[0].peak = references.peak();
  return out;
}

}  // namespace galvatron::bench
