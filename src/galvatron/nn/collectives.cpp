#include "galvatron/nn/collectives.h"

#include <algorithm>
#include <numeric>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/group_capsule.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Sizes = std::vector<std::int64_t>;

bool all_equal(const Sizes& sizes) {
  return std::all_of(sizes.begin(), sizes.end(),
                     [&](std::int64_t s) { return s == sizes.front(); });
}

std::int64_t total(const Sizes& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
}

at::Tensor pad_sequence(const at::Tensor& x, std::int64_t length) {
  if (x.size(1) == length) return x.contiguous();
  at::Tensor out = at::zeros({x.size(0), length, x.size(2)}, x.options());
  out.narrow(1, 0, x.size(1)).copy_(x);
  return out;
}

// Ranks with shorter parts pad to the longest one, so that the wire format is even.
at::Tensor all_gather_tokens(const at::Tensor& x, const comm::Group& group, const Sizes& sizes) {
  if (group.size() == 1) return x;
  if (x.size(0) == 0) return x.new_empty({0, total(sizes), x.size(2)});
  const std::int64_t longest = *std::max_element(sizes.begin(), sizes.end());
  const at::Tensor padded = pad_sequence(x, longest);
  at::Tensor gathered = at::empty({group.size(), x.size(0), longest, x.size(2)}, x.options());
  group.all_gather(gathered, padded);
  if (all_equal(sizes))
    return gathered.transpose(0, 1).reshape({x.size(0), total(sizes), x.size(2)});
  std::vector<at::Tensor> parts;
  for (int i = 0; i < group.size(); ++i)
    parts.push_back(gathered.select(0, i).narrow(1, 0, sizes[i]));
  return at::cat(parts, 1);
}

at::Tensor reduce_scatter_tokens(const at::Tensor& x, const comm::Group& group,
                                 const Sizes& sizes) {
  if (group.size() == 1) return x;
  const std::int64_t mine = sizes[group.rank()];
  if (x.size(0) == 0) return x.new_empty({0, mine, x.size(2)});
  const std::int64_t longest = *std::max_element(sizes.begin(), sizes.end());
  at::Tensor packed;
  if (all_equal(sizes)) {
    packed = x.view({x.size(0), group.size(), longest, x.size(2)}).transpose(0, 1).contiguous();
  } else {
    packed = at::zeros({group.size(), x.size(0), longest, x.size(2)}, x.options());
    std::int64_t begin = 0;
    for (int i = 0; i < group.size(); ++i) {
      packed.select(0, i).narrow(1, 0, sizes[i]).copy_(x.narrow(1, begin, sizes[i]));
      begin += sizes[i];
    }
  }
  at::Tensor out = at::empty({x.size(0), longest, x.size(2)}, x.options());
  group.reduce_scatter(out, packed);
  return out.narrow(1, 0, mine);
}

at::Tensor as_matrix(const at::Tensor& x) { return x.reshape({x.size(0) * x.size(1), x.size(2)}); }

struct GatherSequence : torch::autograd::Function<GatherSequence> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const comm::Group& group,
                            const Sizes& sizes) {
    ctx->saved_data["group"] = to_capsule(group);
    ctx->saved_data["sizes"] = sizes;
    return all_gather_tokens(x, group, sizes);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {reduce_scatter_tokens(grads[0].contiguous(), group_of(ctx->saved_data["group"]),
                                  ctx->saved_data["sizes"].toIntVector()),
            {},
            {}};
  }
};

at::Tensor summed(const at::Tensor& x, const comm::Group& group) {
  at::Tensor out = x.clone(at::MemoryFormat::Contiguous);
  if (out.numel() > 0) group.all_reduce(out);
  return out;
}

struct SumOverGroup : torch::autograd::Function<SumOverGroup> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const comm::Group& group) {
    ctx->saved_data["group"] = to_capsule(group);
    return summed(x, group);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {summed(grads[0], group_of(ctx->saved_data["group"])), {}};
  }
};

struct ReduceScatterSequence : torch::autograd::Function<ReduceScatterSequence> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const comm::Group& group,
                            const Sizes& sizes) {
    ctx->saved_data["group"] = to_capsule(group);
    ctx->saved_data["sizes"] = sizes;
    return reduce_scatter_tokens(x, group, sizes);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {all_gather_tokens(grads[0].contiguous(), group_of(ctx->saved_data["group"]),
                              ctx->saved_data["sizes"].toIntVector()),
            {},
            {}};
  }
};

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, LinearPrecision precision) {
  return precision == LinearPrecision::kFloat8
             ? float8_linear(x, weight, bias.value_or(at::Tensor()))
             : at::linear(x, weight, bias);
}

// Of y = x W^T: with respect to x, and to W.
at::Tensor gradient_of_input(const at::Tensor& grad, const Float8& grad8,
                             const at::Tensor& weight) {
  if (!grad8.values.defined()) return at::matmul(grad, weight);
  return float8_product(grad8, to_float8(weight, kFloat8Operand), grad.scalar_type())
      .view({grad.size(0), grad.size(1), weight.size(1)});
}

at::Tensor gradient_of_weight(const at::Tensor& grad, const Float8& grad8, const at::Tensor& x) {
  if (!grad8.values.defined()) return as_matrix(grad).t().mm(as_matrix(x));
  return float8_product(grad8.t(), to_float8(x, kFloat8Operand), grad.scalar_type());
}

struct ColumnParallelLinear : torch::autograd::Function<ColumnParallelLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const comm::Group& group,
                            const Sizes& sizes, LinearPrecision precision) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["group"] = to_capsule(group);
    ctx->saved_data["sizes"] = sizes;
    ctx->saved_data["bias"] = bias.has_value();
    ctx->saved_data["float8"] = precision == LinearPrecision::kFloat8;
    return linear(all_gather_tokens(x, group, sizes), weight, bias, precision);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const comm::Group& group = group_of(ctx->saved_data["group"]);
    const Sizes sizes = ctx->saved_data["sizes"].toIntVector();
    const at::Tensor grad = grads[0].contiguous();
    const Float8 grad8 =
        ctx->saved_data["float8"].toBool() ? to_float8(grad, kFloat8Gradient) : Float8{};
    at::Tensor grad_x, grad_bias;
    if (ctx->needs_input_grad(0))
      grad_x = reduce_scatter_tokens(gradient_of_input(grad, grad8, weight), group, sizes);
    const at::Tensor grad_weight =
        gradient_of_weight(grad, grad8, all_gather_tokens(x, group, sizes));
    if (ctx->saved_data["bias"].toBool()) grad_bias = as_matrix(grad).sum(0);
    return {grad_x, grad_weight, grad_bias, {}, {}, {}};
  }
};

Sizes scaled(const Sizes& sizes, std::int64_t factor) {
  Sizes out = sizes;
  for (std::int64_t& size : out) size *= factor;
  return out;
}

// [B, T, u*h, D] -> the flat message with rank i's heads as its i-th part.
at::Tensor pack_heads(const at::Tensor& x, int u) {
  const std::int64_t heads = x.size(2) / u;
  return x.reshape({x.size(0), x.size(1), u, heads, x.size(3)})
      .permute({2, 0, 1, 3, 4})
      .contiguous()
      .view({-1});
}

at::Tensor unpack_heads(const at::Tensor& flat, int u, std::int64_t batch, std::int64_t tokens,
                        std::int64_t heads, std::int64_t head_size) {
  return flat.view({u, batch, tokens, heads, head_size})
      .permute({1, 2, 0, 3, 4})
      .reshape({batch, tokens, u * heads, head_size});
}

// [B, L, h, D] -> the flat message with rank i's tokens as its i-th part.
at::Tensor pack_tokens(const at::Tensor& x, const Sizes& sizes) {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : x.split_with_sizes(sizes, 1)) parts.push_back(part.reshape({-1}));
  return at::cat(parts);
}

at::Tensor unpack_tokens(const at::Tensor& flat, const Sizes& sizes, std::int64_t batch,
                         std::int64_t heads, std::int64_t head_size) {
  const auto parts = flat.split_with_sizes(scaled(sizes, batch * heads * head_size));
  std::vector<at::Tensor> shaped;
  for (std::size_t i = 0; i < parts.size(); ++i)
    shaped.push_back(parts[i].view({batch, sizes[i], heads, head_size}));
  return at::cat(shaped, 1);
}

at::Tensor exchange_to_heads(const at::Tensor& x, const comm::Group& group, const Sizes& sizes) {
  const int u = group.size();
  const std::int64_t batch = x.size(0), heads = x.size(2) / u, head_size = x.size(3);
  if (batch == 0) return x.new_empty({0, total(sizes), heads, head_size});
  const at::Tensor input = pack_heads(x, u);
  const Sizes output_sizes = scaled(sizes, batch * heads * head_size);
  at::Tensor output = at::empty({total(output_sizes)}, x.options());
  group.all_to_all(output, input, output_sizes, Sizes(u, input.numel() / u));
  return unpack_tokens(output, sizes, batch, heads, head_size);
}

at::Tensor exchange_to_sequence(const at::Tensor& x, const comm::Group& group, const Sizes& sizes) {
  const int u = group.size();
  const std::int64_t batch = x.size(0), heads = x.size(2), head_size = x.size(3),
                     tokens = sizes[group.rank()];
  if (batch == 0) return x.new_empty({0, tokens, heads * u, head_size});
  const at::Tensor input = pack_tokens(x, sizes);
  const std::int64_t part = batch * tokens * heads * head_size;
  at::Tensor output = at::empty({part * u}, x.options());
  group.all_to_all(output, input, Sizes(u, part), scaled(sizes, batch * heads * head_size));
  return unpack_heads(output, u, batch, tokens, heads, head_size);
}

struct SequenceToHeads : torch::autograd::Function<SequenceToHeads> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const comm::Group& group,
                            const Sizes& sizes) {
    ctx->saved_data["group"] = to_capsule(group);
    ctx->saved_data["sizes"] = sizes;
    return exchange_to_heads(x, group, sizes);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {exchange_to_sequence(grads[0], group_of(ctx->saved_data["group"]),
                                 ctx->saved_data["sizes"].toIntVector()),
            {},
            {}};
  }
};

struct HeadsToSequence : torch::autograd::Function<HeadsToSequence> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const comm::Group& group,
                            const Sizes& sizes) {
    ctx->saved_data["group"] = to_capsule(group);
    ctx->saved_data["sizes"] = sizes;
    return exchange_to_sequence(x, group, sizes);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {exchange_to_heads(grads[0], group_of(ctx->saved_data["group"]),
                              ctx->saved_data["sizes"].toIntVector()),
            {},
            {}};
  }
};

std::optional<at::Tensor> if_defined(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

}  // namespace

at::Tensor sum_over_group(const at::Tensor& x, const comm::Group& group) {
  return group.size() == 1 ? x : SumOverGroup::apply(x, group);
}

at::Tensor gather_sequence(const at::Tensor& x_BSH, const comm::Group& group, const Sizes& sizes) {
  return group.size() == 1 ? x_BSH : GatherSequence::apply(x_BSH, group, sizes);
}

at::Tensor reduce_scatter_sequence(const at::Tensor& x_BTH, const comm::Group& group,
                                   const Sizes& sizes) {
  return group.size() == 1 ? x_BTH : ReduceScatterSequence::apply(x_BTH, group, sizes);
}

at::Tensor column_parallel_linear(const at::Tensor& x_BSH, const at::Tensor& weight,
                                  const at::Tensor& bias, const comm::Group& group,
                                  const Sizes& sizes, LinearPrecision precision) {
  if (group.size() == 1) return linear(x_BSH, weight, if_defined(bias), precision);
  return ColumnParallelLinear::apply(x_BSH, weight, if_defined(bias), group, sizes, precision);
}

at::Tensor row_parallel_linear(const at::Tensor& x_BTI, const at::Tensor& weight,
                               const at::Tensor& bias, const comm::Group& group, const Sizes& sizes,
                               LinearPrecision precision) {
  if (group.size() == 1) return linear(x_BTI, weight, if_defined(bias), precision);
  const at::Tensor y_BSH =
      reduce_scatter_sequence(linear(x_BTI, weight, std::nullopt, precision), group, sizes);
  return bias.defined() ? y_BSH + bias : y_BSH;
}

at::Tensor sequence_to_heads(const at::Tensor& x_BTND, const comm::Group& group,
                             const Sizes& sizes) {
  return group.size() == 1 ? x_BTND : SequenceToHeads::apply(x_BTND, group, sizes);
}

at::Tensor heads_to_sequence(const at::Tensor& x_BLhD, const comm::Group& group,
                             const Sizes& sizes) {
  return group.size() == 1 ? x_BLhD : HeadsToSequence::apply(x_BLhD, group, sizes);
}

}  // namespace galvatron::nn
