// Linear layers whose operands are rounded to float8: x and W to e4m3 (4 significant bits), the
// gradients of y to e5m2 (3). Their products add up as those of the compute type.
//
// A tensor is scaled by one power of two, so that its largest element lies in the upper half of
// the format's range. That changes no digit: whatever shares its tensor (tokens of a microbatch,
// columns of a rank), an element is rounded to the same number, unless it is 2^13 times smaller
// than the largest one (e5m2: 2^28), where the format runs out of exponents; then it is off by at
// most 2^-17 (2^-32) of the largest. So no plan needs ranks that agree on scales.
#pragma once
#include <ATen/core/Tensor.h>

namespace galvatron::nn {

// How the linear layers of blocks multiply.
enum class LinearPrecision { kCompute, kFloat8 };

inline constexpr at::ScalarType kFloat8Operand = at::kFloat8_e4m3fn,
                                kFloat8Gradient = at::kFloat8_e5m2;

struct Float8 {
  at::Tensor values;         // of two dimensions
  at::Tensor inverse_scale;  // fp32 scalar, a power of two: values times it are what was rounded
  Float8 t() const { return {values.t(), inverse_scale}; }
};

// All but the last dimension of x become rows. What is not finite stays so.
Float8 to_float8(const at::Tensor& x, at::ScalarType format);

enum class Float8Way {
  kScaled,  // at::_scaled_mm, of which one operand is e4m3; odd sizes are padded with zeros
  kRounded  // the rounded numbers multiplied in `type`: the same but for the rounding of sums
};
// What is fast: kScaled where a device multiplies float8 (Ada, Hopper and later).
Float8Way float8_way(const at::Tensor& values, at::ScalarType type);

// a b, or a b + bias, in `type`. `bias` [N] may be undefined.
at::Tensor float8_product(const Float8& a_MK, const Float8& b_KN, at::ScalarType type,
                          const at::Tensor& bias, Float8Way way);
at::Tensor float8_product(const Float8& a_MK, const Float8& b_KN, at::ScalarType type,
                          const at::Tensor& bias = {});

// y = x W^T + b. Keeps x for the backward as it was rounded, a byte for each element. `bias` may
// be undefined.
at::Tensor float8_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace galvatron::nn
