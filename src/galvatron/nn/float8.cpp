#include "galvatron/nn/float8.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kMostOperand = 448, kMostGradient = 57344;
// Keeps the scale of a tensor of zeros finite.
constexpr double kLeast = 0x1p-100;
// Sides of matrices that at::_scaled_mm takes are multiples of it.
constexpr std::int64_t kSide = 16;
constexpr int kExponentBits = 0x7F800000;

double most(at::ScalarType format) {
  GALV_CHECK(format == kFloat8Operand || format == kFloat8Gradient,
             "not float8: ", at::toString(format));
  return format == kFloat8Operand ? kMostOperand : kMostGradient;
}

// The largest power of two that is no larger: the number without its mantissa. Infinity stays.
at::Tensor power_of_two_below(const at::Tensor& x) {
  return x.view(at::kInt).bitwise_and(kExponentBits).view(at::kFloat);
}

at::Tensor largest(const at::Tensor& x) {
  const auto [low, high] = at::aminmax(x);
  return at::maximum(high, low.neg()).to(at::kFloat);
}

// Row-major with both sides a multiple of kSide. Copies only where it is not so.
at::Tensor padded_rows(const at::Tensor& x) {
  const auto padded = [](std::int64_t size) { return (size + kSide - 1) / kSide * kSide; };
  const std::int64_t rows = padded(x.size(0)), columns = padded(x.size(1));
  if (rows == x.size(0) && columns == x.size(1)) return x.contiguous();
  // As bytes: not every kernel knows float8, and its zero is a byte of zeros.
  at::Tensor out = at::zeros({rows, columns}, x.options().dtype(at::kByte));
  out.narrow(0, 0, x.size(0)).narrow(1, 0, x.size(1)).copy_(x.contiguous().view(at::kByte));
  return out.view(x.scalar_type());
}

at::Tensor rounded(const Float8& x, at::ScalarType type) {
  return x.values.to(type).mul_(x.inverse_scale);
}

at::Tensor scaled_product(const Float8& a, const Float8& b, at::ScalarType type,
                          const at::Tensor& bias) {
  const std::int64_t rows = a.values.size(0), columns = b.values.size(1);
  // Sums that are gradients keep all their digits on the device, as torchao's do.
  const bool fast = a.values.scalar_type() == kFloat8Operand;
  const at::Tensor out =
      at::_scaled_mm(padded_rows(a.values), padded_rows(b.values.t()).t(), a.inverse_scale,
                     b.inverse_scale, std::nullopt, std::nullopt, type, fast)
          .narrow(0, 0, rows)
          .narrow(1, 0, columns);
  return bias.defined() ? out + bias : out.contiguous();
}

struct Float8Linear : torch::autograd::Function<Float8Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    const Float8 x8 = to_float8(x, kFloat8Operand);
    ctx->save_for_backward({x8.values, x8.inverse_scale, weight});
    ctx->saved_data["shape"] = x.sizes().vec();
    ctx->saved_data["bias"] = bias.has_value();
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return float8_product(x8, to_float8(weight, kFloat8Operand).t(), x.scalar_type(),
                          bias.value_or(at::Tensor()))
        .view(shape);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Float8 x8{saved[0], saved[1]};
    const at::Tensor &weight = saved[2], &grad = grads[0];
    const at::ScalarType type = grad.scalar_type();
    const Float8 grad8 = to_float8(grad, kFloat8Gradient);
    at::Tensor grad_x, grad_bias;
    if (ctx->needs_input_grad(0)) {
      grad_x = float8_product(grad8, to_float8(weight, kFloat8Operand), type)
                   .view(ctx->saved_data["shape"].toIntVector());
    }
    if (ctx->saved_data["bias"].toBool()) grad_bias = grad.flatten(0, -2).sum(0);
    return {grad_x, float8_product(grad8.t(), x8, type), grad_bias};
  }
};

}  // namespace

Float8 to_float8(const at::Tensor& x, at::ScalarType format) {
  const at::Tensor rows = x.flatten(0, -2);
  if (rows.numel() == 0) return {rows.to(format), at::ones({}, rows.options().dtype(at::kFloat))};
  const at::Tensor amax = largest(rows).clamp_min_(kLeast);
  const at::Tensor scale = power_of_two_below(at::full_like(amax, most(format)).div_(amax));
  return {rows.mul(scale).to(format), scale.reciprocal()};
}

Float8Way float8_way(const at::Tensor& values, at::ScalarType type) {
  const bool scales = values.is_cuda() && type == at::kBFloat16 && values.numel() > 0 &&
                      comm::multiplies_float8(values.get_device());
  return scales ? Float8Way::kScaled : Float8Way::kRounded;
}

at::Tensor float8_product(const Float8& a, const Float8& b, at::ScalarType type,
                          const at::Tensor& bias, Float8Way way) {
  if (way == Float8Way::kScaled) return scaled_product(a, b, type, bias);
  const at::Tensor a_MK = rounded(a, type), b_KN = rounded(b, type);
  return bias.defined() ? at::addmm(bias, a_MK, b_KN) : at::mm(a_MK, b_KN);
}

at::Tensor float8_product(const Float8& a, const Float8& b, at::ScalarType type,
                          const at::Tensor& bias) {
  return float8_product(a, b, type, bias, float8_way(a.values, type));
}

at::Tensor float8_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Float8Linear::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace galvatron::nn
