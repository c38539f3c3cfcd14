// The update of a rank's master weights. An optimizer is a class of its own file here, its entry in
// spec/optimizer_spec and its line in registry.cpp; what all have in common is written once, below.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/runtime/param_unit.h"
#include "galvatron/spec/optimizer_spec.h"
#include "galvatron/train/param_groups.h"

namespace galvatron::train {

// Ranges of many units for one fused call: the parameters that decay, or the others, of one of
// ParamGroups or of none. All lists are of one length and all tensors of one dtype.
struct UpdateGroup {
  bool decays = false;
  std::optional<double> own_decay;  // of its ParamGroup, which wins
  std::vector<at::Tensor> weights, gradients;
  std::vector<std::vector<at::Tensor>> states;  // in the order of OptimizerSpec::states
  // What the kernel shall divide the gradients by, in the same pass.
  std::optional<at::Tensor> gradient_divisor;
};

class Optimizer {
 public:
  // States begin as zeros. `units` outlive the optimizer.
  Optimizer(const std::vector<runtime::ParamUnit*>& units, const spec::OptimizerChoice& choice);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Who is trained in a way of his own, from the next step on.
  void set_groups(ParamGroups groups);
  // Zero for frozen parameters: their gradients are in no norm. Before the norm is asked for.
  void drop_frozen_gradients();

  // Multiplies the gradients by `gradient_factor` (clipping and loss scale in one), then updates
  // the master weights. Follow with Engine::publish().
  void step(double learning_rate, double gradient_factor = 1);

  const spec::OptimizerSpec& spec() const { return choice_.spec(); }
  // One of spec().states of one unit, one-dimensional: of the elements held_of(), which are all
  // that the rank owns, those behind the matrices, or none where states are of another shape.
  at::Tensor& state(const runtime::ParamUnit& unit, const std::string& name);
  Range held_of(const runtime::ParamUnit& unit, const std::string& name) const;
  // Of all states on this rank.
  Bytes state_bytes() const;
  // Of OptimizerSpec::factors, a state that every rank holds whole; undefined for others.
  virtual at::Tensor whole_state(const runtime::ParamUnit&, int /*slot*/,
                                 const std::string& /*name*/) const {
    return {};
  }

  // From the next step on. REQUIRES: an option of spec().
  void set_option(const std::string& name, double value) { choice_.set(name, value); }
  // Weight decay of biases, norms and other one-dimensional parameters, which have none by
  // themselves.
  void set_vector_decay(double value) { vector_decay_ = value; }

  std::int64_t num_steps() const { return num_steps_; }
  void set_num_steps(std::int64_t steps) { num_steps_ = steps; }

  // The arithmetic alone: changes group.weights and group.states as step num_steps(), counted from
  // 1. REQUIRES: autograd is off.
  virtual void update(UpdateGroup& group, double learning_rate) = 0;

  // Owned elements of a unit that are updated alike.
  struct UnitSpan {
    Range elements;
    double learning_rate = 0, weight_decay = 0;
  };
  // Of OptimizerSpec::takes_matrices, behind all update(): gradients are complete. Collective over
  // ParamUnit::sharers() and parts().
  virtual void update_matrices(runtime::ParamUnit&, at::Tensor& /*momentum*/,
                               const std::vector<UnitSpan>&) {}
  // Of OptimizerSpec::factors, in the place of update(). `vector_state`: the third state.
  virtual void update_unit(runtime::ParamUnit&, at::Tensor& /*vector_state*/,
                           const std::vector<UnitSpan>&) {}

 protected:
  double option(const char* name) const { return choice_.value(name); }
  // The group's own, the option weight_decay, or what set_vector_decay() said.
  double weight_decay(const UpdateGroup& group) const;

 private:
  // Owned elements of a unit that are updated alike.
  struct Span {
    Range elements;
    int group = kNoGroup;
    bool decays = false;
    bool is_matrix = false;  // of which no group is made
  };
  static constexpr int kNoGroup = -1;
  struct UnitStates {
    runtime::ParamUnit* unit = nullptr;
    std::vector<at::Tensor> states;
    std::vector<Span> spans;
  };
  std::vector<Span> spans_of(const runtime::ParamUnit& unit) const;
  bool is_frozen(const Span& span) const;
  double rate_of(const Span& span, double learning_rate) const;
  std::optional<double> own_decay_of(const Span& span) const;
  std::vector<UnitSpan> unit_spans(const UnitStates& entry, double learning_rate) const;
  void update_matrices_of(UnitStates& entry, double learning_rate, double gradient_factor);
  void add_range(UpdateGroup& group, const UnitStates& entry, Range elements) const;
  bool fits_fused_divisor() const;

  spec::OptimizerChoice choice_;
  ParamGroups groups_;
  std::vector<UnitStates> units_;
  double vector_decay_ = 0;
  std::int64_t num_steps_ = 0;
};

std::unique_ptr<Optimizer> make_optimizer(const std::vector<runtime::ParamUnit*>& units,
                                          const spec::OptimizerChoice& choice = {});

// Factor that brings a gradient of norm `norm` to at most `max_norm`: min(1, max_norm / (norm +
// 1e-6)), PyTorch's clip_grad_norm_. 1 for max_norm <= 0.
double clip_factor(double norm, double max_norm);

}  // namespace galvatron::train
