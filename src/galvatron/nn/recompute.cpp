#include "galvatron/nn/recompute.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

using PureFunction = std::function<at::Tensor(const at::Tensor&)>;

struct FunctionHolder : torch::CustomClassHolder {
  explicit FunctionHolder(PureFunction f) : fn(std::move(f)) {}
  PureFunction fn;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x, const PureFunction& fn) {
    ctx->save_for_backward({x});
    ctx->saved_data["fn"] = c10::IValue::make_capsule(c10::make_intrusive<FunctionHolder>(fn));
    return fn(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    const at::Tensor x = ctx->get_saved_variables()[0].detach().requires_grad_();
    const auto capsule = ctx->saved_data["fn"].toCapsule();
    at::AutoGradMode with_grad(true);
    const at::Tensor y = static_cast<FunctionHolder*>(capsule.get())->fn(x);
    return {torch::autograd::grad({y}, {x}, {grads[0]})[0], {}};
  }
};

}  // namespace

at::Tensor recomputed(const PureFunction& fn, const at::Tensor& x) { return Recomputed::apply(x, fn); }

}  // namespace galvatron::nn
