// Trains a model for a few steps under a plan with ranks as threads, and puts the whole parameters
// and gradients together again: what the promise "a plan never changes the result" is tested with.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/spec/optimizer_spec.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::testing {

struct TrainingCase {
  spec::ModelSpec model;
  std::int64_t seq_length = 8;
  std::int64_t global_batch = 4;
  int steps = 3;
  std::uint64_t seed = 1;
  double learning_rate = 1e-2;
  double max_grad_norm = 0.5;  // below the first gradients' norm, so that clipping is exercised
  bool ignore_some_labels = true;
  bool documents = false;  // samples of text hold several, and padding
  bool positions = false;  // of their tokens are said
  bool token_types = false;
  bool mixes_images = false;
  double label_smoothing = 0;
  nn::LinearPrecision linears = nn::LinearPrecision::kCompute;
  spec::OptimizerChoice optimizer;
  std::vector<std::string> param_groups;
};

struct TrainingResult {
  std::vector<double> losses;
  std::vector<double> grad_norms;
  std::map<std::string, at::Tensor> first_gradients;  // whole, by full name, before clipping
  std::map<std::string, at::Tensor> parameters;       // whole, after the last step
  runtime::Scores evaluation;                         // after the last step, without dropout
};

// One step on a rank, of inputs that are a function of the job and the step's number (from 0).
// Collective. `on_gradients`: between the backward and the update.
struct StepNumbers {
  double loss = 0, grad_norm = 0;
};
StepNumbers train_step(const TrainingCase& job, runtime::Engine& engine,
                       train::Optimizer& optimizer, int step,
                       const std::function<void()>& on_gradients = {});

TrainingResult train(const TrainingCase& job, const plan::Plan& plan,
                     comm::BackendKind backend = comm::BackendKind::kThreads);

// One rank, one microbatch, nothing parallel.
plan::Plan single_rank_plan(const TrainingCase& job,
                            spec::Precision precision = spec::Precision::kFp64);

// The largest difference between two results, relative to the size of what differs; names it.
struct Difference {
  double value = 0;
  std::string where;
};
Difference difference(const TrainingResult& expected, const TrainingResult& actual);

}  // namespace galvatron::testing
