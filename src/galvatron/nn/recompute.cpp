#include "galvatron/nn/recompute.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FunctionHolder : torch::CustomClassHolder {
  explicit FunctionHolder(RecomputedFunction f) : fn(std::move(f)) {}
  RecomputedFunction fn;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  // Only a TensorList counts as inputs of the graph; a vector would be taken for a constant.
  static at::Tensor forward(AutogradContext* ctx, at::TensorList inputs,
                            const RecomputedFunction& fn) {
    ctx->save_for_backward(inputs.vec());
    ctx->saved_data["fn"] = c10::IValue::make_capsule(c10::make_intrusive<FunctionHolder>(fn));
    return fn(inputs.vec());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    variable_list inputs;
    for (const at::Tensor& saved : ctx->get_saved_variables())
      inputs.push_back(saved.detach().requires_grad_());
    const auto capsule = ctx->saved_data["fn"].toCapsule();
    at::AutoGradMode with_grad(true);
    const at::Tensor y = static_cast<FunctionHolder*>(capsule.get())->fn(inputs);
    variable_list out = torch::autograd::grad({y}, inputs, {grads[0]});
    out.emplace_back();  // of fn
    return out;
  }
};

}  // namespace

at::Tensor recomputed(const RecomputedFunction& fn, const std::vector<at::Tensor>& inputs) {
  return Recomputed::apply(at::TensorList(inputs), fn);
}

}  // namespace galvatron::nn
