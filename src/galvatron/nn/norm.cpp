#include "galvatron/nn/norm.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::ScalarType statistics_type(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon) {
    const at::ScalarType wide = statistics_type(x.scalar_type());
    const at::Tensor length =
        at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/true, wide);
    const at::Tensor inverse =
        length.square().div_(static_cast<double>(x.size(-1))).add_(epsilon).rsqrt_();
    ctx->save_for_backward({x, weight, inverse});
    // As Hugging Face: normalise wide, round to the activation's type, then scale.
    return x.mul(inverse).to(x.scalar_type()).mul_(weight);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2];
    const at::Tensor normalised = x.mul(inverse);
    const at::Tensor grad = grads[0].to(normalised.scalar_type());
    const at::Tensor product = grad * normalised;
    const at::Tensor grad_weight =
        product.reshape({-1, x.size(-1)}).sum(0).to(weight.scalar_type());
    const at::Tensor wide_weight = weight.to(normalised.scalar_type());
    const at::Tensor along = product.mul_(wide_weight).mean(-1, true);
    at::Tensor grad_x = grad.mul(wide_weight);
    grad_x.addcmul_(normalised, along, -1).mul_(inverse);
    return {grad_x.to(x.scalar_type()), grad_weight, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (x.is_cuda()) return at::rms_norm(x, {x.size(-1)}, weight, epsilon);
  return RmsNorm::apply(x, weight, epsilon);
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon) {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, epsilon);
}

}  // namespace galvatron::nn
