#include "galvatron/runtime/layer_runner.h"

#include <algorithm>
#include <optional>

#include <torch/csrc/autograd/engine.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/plan/traced_step.h"
#include "galvatron/runtime/layer_call.h"

namespace galvatron::runtime {
namespace {

nn::Activations detached_leaves(const nn::Activations& x) {
  nn::Activations out;
  for (const at::Tensor& t : x) out.push_back(t.detach().requires_grad_(true));
  return out;
}

// Where the gradients of a graph's results go in: all of them that its backward needs. The results
// themselves belong to whoever reads them.
torch::autograd::edge_list ends_of(const nn::Activations& y) {
  torch::autograd::edge_list out;
  for (const at::Tensor& t : y) out.push_back(torch::autograd::impl::gradient_edge(t));
  return out;
}

// Of leaves; undefined where the graph has nothing of one.
nn::Activations gradients_of(const torch::autograd::edge_list& ends, const nn::Activations& leaves,
                             const nn::Activations& grad_y) {
  torch::autograd::edge_list wanted;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    auto accumulator = torch::autograd::impl::try_get_grad_accumulator(leaves[i]);
    if (!accumulator) continue;
    wanted.emplace_back(std::move(accumulator), 0);
    index.push_back(i);
  }
  const auto found = torch::autograd::Engine::get_default_engine().execute(
      ends, grad_y, /*keep_graph=*/false, /*create_graph=*/false, /*accumulate_grad=*/false,
      wanted);
  nn::Activations out(leaves.size());
  for (std::size_t i = 0; i < index.size(); ++i) out[index[i]] = found[i];
  return out;
}

nn::Activations detached(const nn::Activations& x) {
  nn::Activations out;
  for (const at::Tensor& t : x) out.push_back(t.detach());
  return out;
}

}  // namespace

LayerRunner::LayerRunner(LayerRunnerOptions options, std::unique_ptr<nn::Layer> layer,
                         std::vector<ParamRef> params)
    : options_(std::move(options)), layer_(std::move(layer)), params_(std::move(params)) {
  tables_ = options_.tables != nullptr ? options_.tables : &own_tables_;
  set_seq_length(options_.seq_length);
  for (const ParamRef& param : params_) {
    if (std::find(units_.begin(), units_.end(), param.unit) == units_.end())
      units_.push_back(param.unit);
  }
}

void LayerRunner::set_seq_length(std::int64_t seq_length) {
  options_.seq_length = seq_length;
  set_sequences(
      sequences_, *options_.model, options_.layer, [this](const spec::StreamSpec& stream) {
        return sequence_split(options_.layout, options_.rank, stream.length(options_.seq_length));
      });
}

nn::LayerCall LayerRunner::make_call(Range samples, std::int64_t first_sample) const {
  const Range mine =
      options_.layout.token_rect(options_.rank, samples.size(), options_.seq_length).samples;
  nn::LayerCall call = sequences_;
  call.tables = tables_;
  call.label_smoothing = options_.label_smoothing;
  call.first_sample = first_sample + samples.begin + mine.begin;
  call.num_samples = mine.size();
  return call;
}

std::vector<at::Tensor> LayerRunner::leaves() const {
  std::vector<at::Tensor> out;
  for (const ParamRef& param : params_) out.push_back(param.unit->leaf(param.slot));
  return out;
}

void LayerRunner::wait_for_parameters() {
  for (ParamUnit* unit : units_) unit->wait_gathered();
}

nn::Activations LayerRunner::forward(int microbatch, const nn::Activations& x,
                                     const nn::LayerCall& call) {
  Saved saved{call, detached_leaves(x), {}};
  nn::Activations y;
  if (!computes_loss()) {
    wait_for_parameters();
    at::AutoGradMode keep_graph(!runs_again());
    y = layer_->forward(leaves(), saved.x, call);
    if (!runs_again()) saved.ends = ends_of(y);
  }
  const bool fresh = saved_.emplace(microbatch, std::move(saved)).second;
  GALV_CHECK(fresh, "microbatch ", microbatch, " is already in flight in ", spec().name);
  return detached(y);
}

nn::Activations LayerRunner::backward(int microbatch, const nn::Activations& grad,
                                      double loss_scale) {
  const auto found = saved_.find(microbatch);
  GALV_CHECK(found != saved_.end(), "microbatch ", microbatch, " is not in flight in ",
             spec().name);
  Saved saved = std::move(found->second);
  saved_.erase(found);

  wait_for_parameters();
  const std::vector<at::Tensor> params = leaves();
  nn::Activations grad_y = grad;
  if (runs_again()) {
    std::optional<Trace::Scope> scope;
    if (options_.trace && !computes_loss())
      scope.emplace(*options_.trace, "forward again", plan::kWaitInside,
                    enum_text(plan::StepKind::kRecompute));
    at::AutoGradMode with_graph(true);
    saved.call.loss_scale = loss_scale;
    const nn::Activations y = layer_->forward(params, saved.x, saved.call);
    saved.ends = ends_of(y);
    if (computes_loss()) {
      losses_.push_back(y[0].detach());
      grad_y = {at::ones_like(y[0])};
    }
  }
  std::vector<at::Tensor> inputs = params;
  inputs.insert(inputs.end(), saved.x.begin(), saved.x.end());
  auto gradients = gradients_of(saved.ends, inputs, grad_y);
  nn::Activations grad_x(gradients.begin() + static_cast<std::ptrdiff_t>(params_.size()),
                         gradients.end());
  gradients.resize(params_.size());
  gradients_ = std::move(gradients);
  for (std::size_t i = 0; i < grad_x.size(); ++i) {
    if (!grad_x[i].defined())
      grad_x[i] = at::zeros_like(saved.x[i]);  // a stream that the layer does not use
  }
  return grad_x;
}

void LayerRunner::add_gradients() {
  for (ParamUnit* unit : units_) {
    std::vector<at::Tensor> by_slot(unit->slots().size());
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (params_[i].unit == unit)
        by_slot[static_cast<std::size_t>(params_[i].slot)] = gradients_[i];
    }
    unit->add_gradients(by_slot);
  }
  gradients_.clear();
}

nn::Activations LayerRunner::evaluate(const nn::Activations& x, const nn::LayerCall& call) {
  at::NoGradGuard no_grad;
  wait_for_parameters();
  nn::Activations y = layer_->forward(leaves(), x, call);
  if (computes_loss() && !call.logits) losses_.push_back(y[0]);
  return y;
}

at::Tensor LayerRunner::take_sums() {
  const at::NoGradGuard no_grad;
  if (losses_.empty()) return at::zeros({2}, at::kDouble);
  at::Tensor sums = at::zeros({2}, losses_[0].options().dtype(at::kDouble));
  for (const at::Tensor& loss : losses_) sums.narrow(0, 0, loss.dim() == 0 ? 1 : 2).add_(loss);
  losses_.clear();
  return sums;
}

}  // namespace galvatron::runtime
