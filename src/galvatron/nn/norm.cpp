#include "galvatron/nn/norm.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/collectives.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::ScalarType statistics_type(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon, double offset) {
    const at::ScalarType wide = statistics_type(x.scalar_type());
    const at::Tensor length =
        at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/true, wide);
    const at::Tensor inverse =
        length.square().div_(static_cast<double>(x.size(-1))).add_(epsilon).rsqrt_();
    ctx->save_for_backward({x, weight, inverse});
    ctx->saved_data["offset"] = offset;
    if (offset != 0) return x.mul(inverse).mul_(weight.to(wide).add(offset)).to(x.scalar_type());
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
    const double offset = ctx->saved_data["offset"].toDouble();
    at::Tensor wide_weight = weight.to(normalised.scalar_type());
    if (offset != 0) wide_weight = wide_weight.add(offset);
    const at::Tensor along = product.mul_(wide_weight).mean(-1, true);
    at::Tensor grad_x = grad.mul(wide_weight);
    grad_x.addcmul_(normalised, along, -1).mul_(inverse);
    return {grad_x.to(x.scalar_type()), grad_weight, {}, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, double offset) {
  if (x.is_cuda() && offset == 0) return at::rms_norm(x, {x.size(-1)}, weight, epsilon);
  return RmsNorm::apply(x, weight, epsilon, offset);
}

at::Tensor divided_rms_norm(const at::Tensor& x_BTH, const at::Tensor& weight, double epsilon,
                            const comm::Group& group) {
  if (group.size() == 1) return rms_norm(x_BTH, weight, epsilon);
  const at::Tensor wide = x_BTH.to(statistics_type(x_BTH.scalar_type()));
  const at::Tensor squares_BT1 = sum_over_group(wide.square().sum(-1, /*keepdim=*/true), group);
  const auto width = static_cast<double>(x_BTH.size(-1) * group.size());
  const at::Tensor inverse_BT1 = squares_BT1.div(width).add(epsilon).rsqrt();
  return (wide * inverse_BT1).to(x_BTH.scalar_type()) * weight;
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon) {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, epsilon);
}

}  // namespace galvatron::nn
