// Runs this rank's pipeline stages: the schedule's steps, the layers inside each step, and the
// transfers between stages. A rank has one stage, or under the interleaved schedule several: its
// chunks.
#pragma once
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/trace.h"

namespace galvatron::runtime {

class StageExecutor {
 public:
  StageExecutor(const spec::ModelSpec& model, const plan::Plan& plan, const comm::World& world,
                std::int64_t seq_length, std::vector<std::unique_ptr<LayerRunner>> runners,
                Trace& trace);  // runners: by chunk, then by layer

  // All microbatches forward and backward; the loss gradient is seeded with `loss_scale` for each
  // token.
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

  // What a compute step makes and a transfer takes: of one microbatch at one border of one chunk.
  using TransferKey = std::tuple<plan::Action, int, int>;
  static TransferKey key_of(const plan::Step& step) {
    return {step.action, step.chunk, step.microbatch};
  }

  int stage(const plan::Step& step) const { return step.chunk * plan_.pipeline.degree + pp_rank_; }
  bool is_first_stage(const plan::Step& step) const { return stage(step) == 0; }
  bool is_last_stage(const plan::Step& step) const {
    return stage(step) + 1 == plan_.pipeline.num_stages();
  }
  int first_layer(const plan::Step& step) const {
    return static_cast<int>(chunk_layers(step).begin);
  }
  int last_layer(const plan::Step& step) const {
    return static_cast<int>(chunk_layers(step).end) - 1;
  }
  Range chunk_layers(const plan::Step& step) const {
    return layers_[static_cast<std::size_t>(step.chunk)];
  }
  LayerRunner& runner(int layer) { return *runner_of_layer_[static_cast<std::size_t>(layer)]; }
  plan::TokenLayout layout(int layer) const { return plan_.layout(layer).tokens(); }

  nn::LayerCall make_call(int layer, int microbatch, const StepContext& context);
  void add_inputs(nn::LayerCall& call, int layer, const StepContext& context);
  nn::Activations to_layout(const nn::Activations& x, int border, int from_layer, int to_layer,
                            int microbatch);
  std::vector<plan::Step> compute_steps() const;
  // `compute` with the transfers that it needs.
  void run_steps(const std::vector<plan::Step>& compute, const StepContext& context);
  void post_receives(const std::vector<plan::Step>& steps, std::size_t from);
  void post_receive(const plan::Step& step);
  void forward(const plan::Step& step, const StepContext& context);
  void backward(const plan::Step& step, bool last_backward, const StepContext& context);
  nn::Activations received(const plan::Step& step);
  void send(const plan::Step& step);
  void prefetch_for_next(const std::vector<plan::Step>& steps, std::size_t current);

  const spec::ModelSpec& model_;
  const plan::Plan& plan_;
  Trace& trace_;
  std::int64_t seq_length_;
  int pp_rank_;
  int rank_in_stage_;
  c10::Device device_;
  std::vector<Range> layers_;  // of each chunk
  std::vector<std::unique_ptr<LayerRunner>> runners_;
  std::vector<LayerRunner*> runner_of_layer_;  // of the whole model, null for others' layers
  comm::Group stage_group_;
  comm::Group previous_,
      next_;  // this rank and its like on the pipeline rank before and behind, in a ring
  std::map<TransferKey, Transfer> receiving_;
  std::map<TransferKey, nn::Activations> outgoing_;  // made by a compute step, waiting to be sent
  std::vector<comm::Pending> sending_;
  at::Tensor logits_;
};

}  // namespace galvatron::runtime
