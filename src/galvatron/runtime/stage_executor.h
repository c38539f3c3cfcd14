// Runs this rank's pipeline stage: the schedule's steps, the layers inside each step, and the transfers between stages.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/trace.h"

namespace galvatron::runtime {

class StageExecutor {
 public:
  StageExecutor(const spec::ModelSpec& model, const plan::Plan& plan, const comm::World& world, std::int64_t seq_length,
                std::vector<std::unique_ptr<LayerRunner>> runners, Trace& trace);

  // All microbatches forward and backward; the loss gradient is seeded with `loss_scale` for each token.
  void run(InputSource& input, std::int64_t step, double loss_scale);
  // All microbatches forward, nothing kept.
  void evaluate(InputSource& input);
  at::Tensor logits(InputSource& input);
  // Sum of the token losses that count on this rank, since the last call.
  double take_loss_sum();

 private:
  // Activations under way between stages, stream by stream.
  struct Transfer {
    nn::Activations streams;
    std::vector<comm::Pending> pending;
  };
  struct StepContext {
    InputSource* input = nullptr;
    std::int64_t first_sample = 0;  // of the step, over the run
    double loss_scale = 1;
    bool training = true;
    bool logits = false;
  };

  int first_layer() const { return static_cast<int>(layers_.begin); }
  int last_layer() const { return static_cast<int>(layers_.end) - 1; }
  LayerRunner& runner(int layer) { return *runners_[static_cast<std::size_t>(layer - first_layer())]; }
  const plan::LayerStrategy& strategy(int layer) const { return plan_.layers[static_cast<std::size_t>(layer)]; }
  plan::TokenLayout layout(int layer) const { return plan::token_layout(strategy(layer), ranks_per_stage_); }

  nn::LayerCall make_call(int layer, int microbatch, const StepContext& context);
  void add_inputs(nn::LayerCall& call, int layer, const StepContext& context);
  nn::Activations to_layout(const nn::Activations& x, int border, int from_layer, int to_layer, int microbatch);
  void run_steps(const std::vector<plan::Step>& steps, const StepContext& context);
  void post_receives(const std::vector<plan::Step>& steps, std::size_t from);
  void post_receive(const plan::Step& step);
  void forward(int microbatch, const StepContext& context);
  void backward(int microbatch, bool last, const StepContext& context);
  nn::Activations received(const plan::Step& step);
  void send(const plan::Step& step);
  void prefetch_for_next(const std::vector<plan::Step>& steps, std::size_t current);

  const spec::ModelSpec& model_;
  const plan::Plan& plan_;
  Trace& trace_;
  std::int64_t seq_length_;
  int ranks_per_stage_;
  int stage_;
  int rank_in_stage_;
  c10::Device device_;
  Range layers_;
  std::vector<std::unique_ptr<LayerRunner>> runners_;
  comm::Group stage_group_, previous_, next_;
  std::map<std::pair<plan::Action, int>, Transfer> receiving_;
  std::map<std::pair<plan::Action, int>, nn::Activations> outgoing_;  // made by a compute step, waiting to be sent
  std::vector<comm::Pending> sending_;
  at::Tensor logits_;
};

}  // namespace galvatron::runtime
