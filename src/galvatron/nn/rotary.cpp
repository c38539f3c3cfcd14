#include "galvatron/nn/rotary.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// In place of three products, a difference, a sum and a copy of everything: four passes, and the
// same in the backward.
at::Tensor turned(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine,
                  double direction) {
  const std::int64_t half = cosine.size(-1), rest = x.size(3) - 2 * half;
  const at::Tensor first = x.narrow(3, 0, half), second = x.narrow(3, half, half);
  at::Tensor out = at::empty(x.sizes(), x.options());
  at::Tensor out_first = out.narrow(3, 0, half), out_second = out.narrow(3, half, half);
  at::mul_out(out_first, first, cosine);
  out_first.addcmul_(second, sine, -direction);
  at::mul_out(out_second, second, cosine);
  out_second.addcmul_(first, sine, direction);
  if (rest > 0) out.narrow(3, 2 * half, rest).copy_(x.narrow(3, 2 * half, rest));
  return out;
}

struct Rotation : torch::autograd::Function<Rotation> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cosine,
                            const at::Tensor& sine) {
    ctx->save_for_backward({cosine, sine});
    return turned(x, cosine, sine, 1);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    return {turned(grads[0], saved[0], saved[1], -1), {}, {}};
  }
};

std::vector<double> numbers_of(const Rotary& rotary, at::ScalarType type) {
  std::vector<double> out = rotary.inverse_frequencies;
  out.push_back(rotary.scale);
  out.push_back(static_cast<double>(type));
  return out;
}

// [2, ..., 1, pairs]: cosines and sines of positions [...], in `like`'s type.
at::Tensor angles_of(const at::Tensor& positions, const at::Tensor& frequencies,
                     const Rotary& rotary, at::ScalarType type) {
  const at::Tensor angles = positions.to(frequencies.scalar_type()).unsqueeze(-1) * frequencies;
  return at::stack({angles.cos(), angles.sin()}).mul_(rotary.scale).to(type).unsqueeze(-2);
}

at::Tensor rotary_table(const at::Tensor& x, const Rotary& rotary, const LayerCall& call) {
  const at::ScalarType type = x.scalar_type();
  const auto wide =
      at::TensorOptions().dtype(type == at::kDouble ? at::kDouble : at::kFloat).device(x.device());
  const auto frequencies = [&](std::int64_t) {
    return at::tensor(rotary.inverse_frequencies, at::kDouble).to(wide);
  };
  const std::vector<double> numbers = numbers_of(rotary, type);
  const auto pairs = static_cast<std::int64_t>(rotary.inverse_frequencies.size());
  const auto on_device = [&] {
    return table(call, {TableKind::kRotaryFrequencies, numbers}, pairs, frequencies);
  };
  const at::Tensor& positions_BL = call.documents.positions_BL;
  if (positions_BL.defined()) return angles_of(positions_BL, on_device(), rotary, type);
  const std::int64_t length = x.size(1);
  return table(call, {TableKind::kRotary, numbers}, length,
               [&](std::int64_t longest) {
                 return angles_of(at::arange(longest, wide), on_device(), rotary, type);
               })
      .narrow(1, 0, length);
}

}  // namespace

at::Tensor rotated(const at::Tensor& x_BLND, const Rotary& rotary, const LayerCall& call) {
  const at::Tensor both = rotary_table(x_BLND, rotary, call);
  return Rotation::apply(x_BLND, both[0], both[1]);
}

}  // namespace galvatron::nn
