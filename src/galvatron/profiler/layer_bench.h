// One layer on one rank, as the runtime runs it: its own LayerRunner and parameter units, in a
// group whose collectives do nothing. So shapes, copies and memory are those of training, and no
// time goes into communication.
#pragma once
#include <cstdint>
#include <map>
#include <memory>

#include "galvatron/base/units.h"
#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/profiler/stopwatch.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/param_unit.h"

namespace galvatron::profiler {

struct LayerBenchOptions {
  int layer = 0;
  std::int64_t seq_length = 0;
  spec::Precision precision = spec::Precision::kFp32;
  plan::LayerStrategy strategy;  // tp_degree, ulysses_degree and recompute
  c10::Device device = c10::kCPU;
  std::uint64_t seed = 0;
  int num_ranks() const { return strategy.tp_degree * strategy.ulysses_degree; }
};

// Bytes of one forward and backward; see profiles::LayerMeasurement for what each holds.
struct LayerBytes {
  Bytes activation;
  Bytes forward_workspace;
  Bytes backward_workspace;
};

struct LayerTimes {
  Milliseconds forward;
  Milliseconds backward;
};

class LayerBench {
 public:
  // Plays the last of the ranks that share samples, whose share is a largest one. REQUIRES: the
  // strategy passed check_layer_strategy() for that many ranks; the runtime's memory meter is
  // installed. `model` outlives this.
  LayerBench(const spec::ModelSpec& model, const LayerBenchOptions& options);
  ~LayerBench();

  LayerBytes measure_bytes(std::int64_t samples);
  // One forward and backward; the first of so many samples warms up.
  LayerTimes time_once(std::int64_t samples);

 private:
  bool is_head() const;
  const spec::LayerSpec& layer() const;
  at::TensorOptions floats() const;
  at::Tensor random_input(spec::InputKind kind, std::int64_t samples, std::int64_t tokens) const;
  nn::LayerCall make_call(std::int64_t samples) const;
  nn::Activations make_input(const nn::LayerCall& call) const;
  LayerTimes run_once(const nn::Activations& x, std::int64_t samples);

  const spec::ModelSpec& model_;
  LayerBenchOptions options_;
  plan::Plan plan_;
  comm::World world_;
  std::vector<std::unique_ptr<runtime::ParamUnit>> units_;
  std::unique_ptr<runtime::LayerRunner> runner_;
  std::map<std::int64_t, nn::Activations> timed_inputs_;  // by samples
};

}  // namespace galvatron::profiler
