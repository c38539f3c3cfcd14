#include "galvatron/nn/mlp.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/recompute.h"

namespace galvatron::nn {
namespace {

at::Tensor gated_activation(const at::Tensor& gate_up, ActivationKind kind) {
  const std::int64_t half = gate_up.size(-1) / 2;
  return activate(gate_up.narrow(-1, 0, half), kind) * gate_up.narrow(-1, half, half);
}

// silu(gate) * up keeping only its input: autograd would also keep silu(gate).
struct SwiGlu : torch::autograd::Function<SwiGlu> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& gate_up) {
    ctx->save_for_backward({gate_up});
    const std::int64_t half = gate_up.size(-1) / 2;
    return at::silu(gate_up.narrow(-1, 0, half)).mul_(gate_up.narrow(-1, half, half));
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    const at::Tensor gate_up = ctx->get_saved_variables()[0];
    const std::int64_t half = gate_up.size(-1) / 2;
    const at::Tensor gate = gate_up.narrow(-1, 0, half), up = gate_up.narrow(-1, half, half);
    at::Tensor grad = at::empty_like(gate_up);
    at::Tensor grad_gate = grad.narrow(-1, 0, half), grad_up = grad.narrow(-1, half, half);
    grad_gate.copy_(at::silu_backward(grads[0] * up, gate));
    at::mul_out(grad_up, grads[0], at::silu(gate));
    return {grad};
  }
};

}  // namespace

at::Tensor activate(const at::Tensor& x, ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kGelu:
      return at::gelu(x);
    case ActivationKind::kGeluTanh:
      return at::gelu(x, "tanh");
    case ActivationKind::kRelu:
      return at::relu(x);
    case ActivationKind::kSilu:
      return at::silu(x);
  }
  GALV_CHECK(false, "unknown activation");
}

at::Tensor mlp(const at::Tensor& x_BSH, const MlpParams& params, const MlpOptions& options,
               const LayerGroups& groups, const LayerCall& call) {
  const at::Tensor up = column_parallel_linear(x_BSH, params.up_weight, params.up_bias, groups.tp,
                                               call.sequence.tp_sizes, options.linears);
  at::Tensor inner;
  if (!options.gated) {
    inner = activate(up, options.activation);
  } else if (options.activation == ActivationKind::kSilu) {
    inner = SwiGlu::apply(up);
  } else {
    inner = gated_activation(up, options.activation);
  }
  const Range features = chunk(options.inner_size, groups.tp.size(), groups.tp.rank());
  inner = region_dropout(inner, options.dropout, call, features, options.inner_size);
  return row_parallel_linear(inner, params.down_weight, params.down_bias, groups.tp,
                             call.sequence.tp_sizes, options.linears);
}

}  // namespace galvatron::nn
