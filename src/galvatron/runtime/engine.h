// One rank's share of a model under a plan: runs a step of any list of layers and leaves gradients
// for an optimizer. Knows no model family and no data format.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/comm/world.h"
#include "galvatron/nn/layer.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/runtime/param_unit.h"
#include "galvatron/runtime/trace.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::runtime {

// Where a step's samples come from. Every rank asks only for the rectangles it needs.
class InputSource {
 public:
  virtual ~InputSource() = default;
  // Samples of the global batch (0 <= begin <= end <= global batch) x token positions of the
  // sequence that the layer works on, on the CPU or, but for documents, on the rank's device.
  // Either range may be empty; classes come whole, whatever `tokens` says, of images it says the
  // rows of pixels, of which a source may give all.
  virtual at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) = 0;
  // Does it say this, which no layer needs (kDocuments, kTargetDocuments, kPositions, kTokenTypes,
  // kSecondClasses)? Documents of a model with targets come with theirs. The same on every rank.
  virtual bool says(spec::InputKind) const { return false; }
  // Labels or classes that count in the whole global batch: the loss is the mean over them.
  virtual double num_labels() = 0;
};

// Makes layer `index`; models::make_layer is one.
using LayerFactory = std::function<std::unique_ptr<nn::Layer>(const spec::ModelSpec&, int index,
                                                              const nn::LayerPlacement&)>;

// Of a step whose gradients are complete.
struct StepTotals {
  double loss = 0;           // mean over the labels that count
  double gradient_norm = 0;  // root of the sum of squares of all gradients, each element once
  double votes = 0;          // summed over all ranks
};

// Of an evaluation, over the labels that count.
struct Scores {
  double loss = 0;      // mean
  double accuracy = 0;  // part of them with the highest logit
  double labels = 0;    // how many counted
};

struct EngineOptions {
  std::uint64_t seed = 0;
  std::int64_t seq_length = 0;
  bool initialise = true;      // false: weights are assigned afterwards
  double label_smoothing = 0;  // share of every target that all classes or tokens divide, in steps
  nn::LinearPrecision linears = nn::LinearPrecision::kCompute;  // of blocks
};

// A parameter as this rank holds it, for checkpoints and weight import and export.
struct ParamHandle {
  int layer = 0;
  const spec::ParamSpec* spec = nullptr;
  ParamUnit* unit = nullptr;
  int slot = 0;
};

class Engine {
 public:
  // REQUIRES: the plan passed check_plan for the model and the world. Collective: makes the groups.
  Engine(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
         const LayerFactory& make_layer, const EngineOptions& options);
  ~Engine();

  const spec::ModelSpec& model() const;
  const plan::Plan& plan() const;
  comm::World& world();

  // Forward and backward of all microbatches; gradients are of loss_scale times the mean loss over
  // the global batch. `step` addresses dropout masks. Reads nothing from the device.
  void run_step(InputSource& input, std::int64_t step, double loss_scale = 1);
  // What is to be known of the step that ran, equal on every rank: one reduction, and the only time
  // in a step that the host waits for the device. Collective.
  StepTotals totals(double vote = 0);
  // Runs a step and returns the mean loss alone.
  double forward_backward(InputSource& input, std::int64_t step, double loss_scale = 1);
  // Without gradients or dropout. Returns the same on every rank.
  Scores evaluate(InputSource& input);
  // Logits [samples, tokens, vocabulary], or [samples, classes], of the samples of the global batch
  // that this rank asks for, without gradients or dropout. `wanted`: what each rank asks for, by
  // rank. No answers are fetched. Collective.
  at::Tensor logits(InputSource& input, const std::vector<Range>& wanted);

  // Batches and sequences from the next step on. REQUIRES: check_plan() passes with them.
  void set_shape(std::int64_t global_batch, std::int64_t seq_length);
  std::int64_t seq_length() const;

  // Distinct units of this rank in one order for all ranks of a stage.
  std::vector<ParamUnit*> units();
  std::vector<ParamHandle> parameters();
  // Brings every compute copy up to date after the master weights changed. Collective.
  void publish();
  // Of totals(), by itself. Collective.
  double gradient_norm();

  Trace& trace();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The rank in the same place `step` pipeline ranks on (1 or -1) that this one sends to or receives
// from; -1 where there is none. Between the last and the first only stages of the interleaved
// schedule have something to send.
int neighbour_rank(const plan::Plan& plan, int rank, int step);

// Every rank set that a plan communicates in, for World::create_groups. The same list on every
// rank.
std::vector<plan::RankSet> plan_rank_sets(const spec::ModelSpec& model, const plan::Plan& plan);

}  // namespace galvatron::runtime
