// Runs this rank's pipeline stages: an interpreter of the list of steps that plan::lower() makes of
// the schedule. Layers, transfers, gathers and reductions run where the list has them, nothing else
// does. A rank has one stage, or under an interleaved schedule several: its chunks.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/schedule_passes.h"
#include "galvatron/plan/step_kinds.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/trace.h"

namespace galvatron::runtime {

class StageExecutor {
 public:
  StageExecutor(const spec::ModelSpec& model, const plan::Plan& plan, const comm::World& world,
                std::int64_t seq_length, std::vector<std::unique_ptr<LayerRunner>> runners,
                std::vector<ParamUnit*> units,
                Trace& trace);  // runners: by chunk, then by layer; units: as plan::rank_units()

  ~StageExecutor();

  // Of the sequences from the next step on. REQUIRES: no step is under way.
  void set_seq_length(std::int64_t seq_length);

  // All microbatches forward and backward; the loss gradient is seeded with `loss_scale` for each
  // token.
  void run(InputSource& input, std::int64_t step, double loss_scale);
  // All microbatches forward, nothing kept.
  void evaluate(InputSource& input);
  // Logits of the last layer, one tensor for each microbatch; none on ranks without it.
  std::vector<at::Tensor> logits(InputSource& input);
  // LayerRunner's sums of what counts on this rank, since the last call; fp64 [2] on the device.
  at::Tensor take_sums();

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
    bool scores = false;
  };

  // Activations or gradients of one microbatch on their way to one chunk.
  using TransferKey = std::tuple<bool, int, int>;

  // Samples of the global batch, and the lengths of their sequences.
  using DocumentsKey = std::array<std::int64_t, 4>;

  int stage(const plan::Step& step) const { return step.chunk * plan_.pipeline.degree + pp_rank_; }
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
  ParamUnit& unit(const plan::Step& step) { return *units_[static_cast<std::size_t>(step.unit)]; }
  plan::TokenLayout layout(int layer) const { return plan_.layout(layer).tokens(); }

  nn::LayerCall make_call(int layer, int microbatch, const StepContext& context);
  // Of a call, within the global batch.
  static Range samples_of(const nn::LayerCall& call, const StepContext& context) {
    const std::int64_t first = call.first_sample - context.first_sample;
    return {first, first + call.num_samples};
  }
  void add_inputs(nn::LayerCall& call, int layer, const StepContext& context);
  void add_documents(nn::LayerCall& call, int layer, const StepContext& context);
  void change_layout(const plan::Step& step);
  std::vector<plan::Step> make_steps(bool training) const;
  void run_steps(const std::vector<plan::Step>& steps, const StepContext& context);
  void run_step(const plan::Step& step, const StepContext& context);
  void trace_stage(const plan::Step& step);
  // What a collective is for that is waited for now; nullopt: told elsewhere.
  std::optional<plan::StepKind> kind_of_wait(const comm::FlightEntry& entry,
                                             const std::vector<int>& ranks) const;
  void post_receive(const plan::Step& step);
  void forward(const plan::Step& step, const StepContext& context);
  void backward(const plan::Step& step, const StepContext& context);
  void receive(const plan::Step& step);
  void send(const plan::Step& step);
  void finish_sends();

  const spec::ModelSpec& model_;
  const plan::Plan& plan_;
  Trace& trace_;
  comm::FlightRecorder& flight_;
  std::int64_t seq_length_;
  int pp_rank_;
  int rank_in_stage_;
  c10::Device device_;
  std::vector<Range> layers_;  // of each chunk
  std::vector<std::unique_ptr<LayerRunner>> runners_;
  std::vector<ParamUnit*> units_;              // as the steps number them
  std::vector<LayerRunner*> runner_of_layer_;  // of the whole model, null for others' layers
  std::vector<plan::Step> training_steps_, evaluation_steps_;
  comm::Group stage_group_;
  comm::Group previous_,
      next_;  // this rank and its like on the pipeline rank before and behind, in a ring
  // From layer to layer, with the microbatch that runs: activations forward, gradients backward.
  nn::Activations flowing_;
  std::map<TransferKey, Transfer> receiving_;
  std::vector<comm::Pending> sending_;
  std::optional<Trace::Scope> stage_scope_;
  plan::Step traced_;  // what it is of
  const plan::Step* running_ = nullptr;
  std::optional<std::size_t> wait_began_;  // Trace::mark()
  std::vector<at::Tensor> logits_;
  std::pair<DocumentsKey, nn::DocumentInputs> last_documents_;  // read for a call
};

}  // namespace galvatron::runtime
