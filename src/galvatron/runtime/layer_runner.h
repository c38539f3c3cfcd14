// One layer on this rank: its parameters, its place among the ranks, and what it keeps between
// forward and backward.
//
// Each layer and microbatch has an autograd graph of its own. Between layers there are plain
// tensors, so a layer border can be a redistribution or a pipeline transfer, and parameters can
// come and go around each call.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/edge.h>

#include "galvatron/comm/world.h"
#include "galvatron/nn/layer.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/runtime/param_unit.h"
#include "galvatron/runtime/trace.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::runtime {

// A layer's parameter: a slot of a unit. One per entry of LayerSpec::params.
struct ParamRef {
  ParamUnit* unit = nullptr;
  int slot = 0;
};

struct LayerRunnerOptions {
  const spec::ModelSpec* model = nullptr;
  int layer = 0;
  plan::RankLayout layout;
  int rank = 0;
  std::int64_t seq_length = 0;   // of the model's sequences
  double label_smoothing = 0;    // of the loss
  nn::Tables* tables = nullptr;  // of the rank; null: the layer keeps its own
  Trace* trace = nullptr;        // where there is one, it tells what is computed again
};

class LayerRunner {
 public:
  LayerRunner(LayerRunnerOptions options, std::unique_ptr<nn::Layer> layer,
              std::vector<ParamRef> params);

  const spec::LayerSpec& spec() const { return options_.model->layer(options_.layer); }
  const plan::LayerStrategy& strategy() const { return options_.layout.strategy(); }
  // The last layer of the model does.
  bool computes_loss() const { return options_.layer + 1 == options_.model->num_layers(); }
  // Every tensor-parallel rank computes the same loss; it counts on the first.
  bool loss_counts() const { return options_.layout.coordinates(options_.rank).tp_rank == 0; }

  // Of the sequences from the next call on.
  void set_seq_length(std::int64_t seq_length);

  // This rank's part of a microbatch of `samples` (of a range that begins at 0 with the batch);
  // `first_sample`: of the batch, over the run. Inputs are left to the caller.
  nn::LayerCall make_call(Range samples, std::int64_t first_sample = 0) const;

  // Parameter units that it uses, distinct. The caller gathers them before a call and frees them
  // after it, where that is due.
  const std::vector<ParamUnit*>& units() const { return units_; }

  // Runs the layer and keeps what its backward needs. The loss layer only keeps its input: its
  // forward happens in backward(), so that logits and their gradients live for a moment and never
  // per microbatch in flight.
  nn::Activations forward(int microbatch, const nn::Activations& x, const nn::LayerCall& call);
  // Gradient of the layer's input; those of its parameters are kept for add_gradients(). For the
  // loss layer `grad` is empty and `loss_scale` seeds the backward.
  nn::Activations backward(int microbatch, const nn::Activations& grad, double loss_scale = 1);
  // To its units', once after each backward, when the parameters themselves may be gone.
  void add_gradients();
  // Without keeping anything.
  nn::Activations evaluate(const nn::Activations& x, const nn::LayerCall& call);

  // Over the microbatches since the last call, fp64 on the device: the sum of losses over labels
  // that count, and of evaluations how many of these have the highest logit. Only of the loss
  // layer.
  at::Tensor take_sums();

 private:
  struct Saved {
    nn::LayerCall call;
    nn::Activations x;                        // leaves of the graph
    std::vector<torch::autograd::Edge> ends;  // of the graph; empty when the forward runs again
  };
  bool runs_again() const {
    return strategy().recompute == plan::Recompute::kFull || computes_loss();
  }
  std::vector<at::Tensor> leaves() const;
  void wait_for_parameters();

  LayerRunnerOptions options_;
  nn::LayerCall sequences_;  // the part of every call that is the same
  std::unique_ptr<nn::Layer> layer_;
  std::vector<ParamRef> params_;
  std::vector<ParamUnit*> units_;  // distinct
  std::map<int, Saved> saved_;
  std::vector<at::Tensor> gradients_;  // of params_, between backward() and add_gradients()
  std::vector<at::Tensor> losses_;     // a loss, or an evaluation's scores, of each microbatch
  nn::Tables own_tables_;
  nn::Tables* tables_ = nullptr;
};

}  // namespace galvatron::runtime
