#include "galvatron/nn/rotary.h"

#include <algorithm>
#include <optional>
#include <type_traits>

#include <ATen/Parallel.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/machine_vectors.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct TurnRow {
  template <typename T, typename Wide>
  GALVATRON_INTO_VECTORS static void run(T* __restrict out, const T* __restrict x,
                                         const T* __restrict cosine, const T* __restrict sine,
                                         std::int64_t half, Wide direction) {
    for (std::int64_t i = 0; i < half; ++i) {
      const Wide first = static_cast<Wide>(x[i]), second = static_cast<Wide>(x[half + i]),
                 c = static_cast<Wide>(cosine[i]), s = static_cast<Wide>(sine[i]) * direction;
      out[i] = static_cast<T>(first * c - second * s);
      out[half + i] = static_cast<T>(second * c + first * s);
    }
  }
};

// One pass on a CPU. The tables are [L, 1, half] or [B, L, 1, half], contiguous.
template <typename T>
void turn_rows(at::Tensor& out, const at::Tensor& x, const at::Tensor& cosine,
               const at::Tensor& sine, double direction) {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const std::int64_t length = x.size(1), heads = x.size(2), size = x.size(3),
                     half = cosine.size(-1);
  const bool of_samples = cosine.dim() == 4;
  const T *from = x.const_data_ptr<T>(), *cosines = cosine.const_data_ptr<T>(),
          *sines = sine.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 14) / size);
  at::parallel_for(0, x.size(0) * length * heads, grain, [&](auto begin, auto end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t token = row / heads, sample = token / length, place = token % length;
      const T* in = from + sample * x.stride(0) + place * x.stride(1) + row % heads * x.stride(2);
      const std::int64_t angles = (of_samples ? token : place) * half;
      run_in_vectors<TurnRow>(to + row * size, in, cosines + angles, sines + angles, half,
                              static_cast<Wide>(direction));
      std::copy(in + 2 * half, in + size, to + row * size + 2 * half);
    }
  });
}

// nullopt: not for tensors like these.
std::optional<at::Tensor> turned_on_cpu(const at::Tensor& x_in, const at::Tensor& cosine,
                                        const at::Tensor& sine, double direction) {
  if (!x_in.is_cpu()) return std::nullopt;
  const at::Tensor x = x_in.stride(3) == 1 ? x_in : x_in.contiguous();
  at::Tensor out = at::empty(x.sizes(), x.options());
  const at::Tensor c = cosine.contiguous(), s = sine.contiguous();
  switch (x.scalar_type()) {
    case at::kDouble:
      turn_rows<double>(out, x, c, s, direction);
      return out;
    case at::kFloat:
      turn_rows<float>(out, x, c, s, direction);
      return out;
    case at::kBFloat16:
      turn_rows<at::BFloat16>(out, x, c, s, direction);
      return out;
    case at::kHalf:
      turn_rows<at::Half>(out, x, c, s, direction);
      return out;
    default:
      return std::nullopt;
  }
}

// In place of three products, a difference, a sum and a copy of everything: four passes, and the
// same in the backward.
at::Tensor turned(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine,
                  double direction) {
  if (const auto out = turned_on_cpu(x, cosine, sine, direction)) return *out;
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
