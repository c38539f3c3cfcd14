#include "galvatron/nn/blocked_attention.h"

#include <algorithm>
#include <limits>

#include "galvatron/base/score_blocks.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/score_rows.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What one block of scores is of: samples (or windows), queries, and the keys that these may see.
struct Block {
  Range samples, queries, keys;
};

struct CoreCall {
  AttentionCore core;
  std::int64_t first_row = 0;  // of the batch, over the run: a sample, or one of its windows
  bool drops = false;
};

struct CoreHolder : torch::CustomClassHolder {
  explicit CoreHolder(CoreCall c) : call(c) {}
  CoreCall call;
};

std::vector<Block> blocks_of(const at::Tensor& q, const at::Tensor& k, const AttentionCore& core) {
  const std::int64_t batch = q.size(0), heads = q.size(1), queries = q.size(2), keys = k.size(2);
  const std::int64_t at_once = scores_at_once(q.is_cpu());
  const std::int64_t samples = std::max<std::int64_t>(1, at_once / (heads * queries * keys));
  const std::int64_t rows =
      samples > 1 ? queries : std::max(kFewestQueries, at_once / (heads * keys));
  std::vector<Block> out;
  for (std::int64_t b = 0; b < batch; b += samples) {
    for (std::int64_t i = 0; i < queries; i += rows) {
      Block block{{b, std::min(b + samples, batch)}, {i, std::min(i + rows, queries)}, {0, keys}};
      if (core.causal) block.keys.end = std::min(block.queries.end, keys);
      if (core.sliding_window > 0)
        block.keys.begin = std::max<std::int64_t>(0, i - core.sliding_window + 1);
      out.push_back(block);
    }
  }
  return out;
}

// [b, n, queries, D] of a block's queries with its heads grouped by the m heads of keys that they
// meet: [b, m, n / m * queries, D].
at::Tensor grouped(const at::Tensor& x, const Block& block, std::int64_t key_heads) {
  const at::Tensor part = x.narrow(0, block.samples.begin, block.samples.size())
                              .narrow(2, block.queries.begin, block.queries.size());
  return part.reshape({part.size(0), key_heads, -1, part.size(3)});
}

at::Tensor keys_of(const at::Tensor& x, const Block& block) {
  return x.narrow(0, block.samples.begin, block.samples.size())
      .narrow(2, block.keys.begin, block.keys.size());
}

at::Tensor by_heads(const at::Tensor& x, const Block& block, std::int64_t heads) {
  return x.view({block.samples.size(), heads, block.queries.size(), x.size(-1)});
}

// Of [B or 1, n or 1, Q or 1, K].
at::Tensor part_of(const at::Tensor& x, const Block& block) {
  const auto cut = [](const at::Tensor& t, std::int64_t dim, Range range) {
    return t.size(dim) == 1 ? t : t.narrow(dim, range.begin, range.size());
  };
  return cut(cut(x, 0, block.samples), 2, block.queries)
      .narrow(3, block.keys.begin, block.keys.size());
}

// True where the order of tokens hides a key from a query; undefined where nothing is hidden.
at::Tensor hidden_by_order(const Block& block, const AttentionCore& core, c10::Device device) {
  const std::int64_t window = core.sliding_window, ahead = block.queries.begin - block.keys.begin;
  const bool cuts_old = window > 0 && block.queries.end - window > block.keys.begin;
  if (!core.causal && !cuts_old) return {};
  const at::Tensor all = at::ones({block.queries.size(), block.keys.size()},
                                  at::TensorOptions().dtype(at::kBool).device(device));
  at::Tensor hidden = all.triu(1 + ahead);
  if (cuts_old) hidden.logical_or_(all.tril(ahead - window));
  return hidden;
}

struct Operands {
  at::Tensor q, k, v, bias, hidden;
};

constexpr double kNever = -std::numeric_limits<double>::infinity();

// In the wide type: [b, n, queries, keys].
at::Tensor products_of(const Operands& x, const Block& block, at::ScalarType wide) {
  const std::int64_t heads = x.q.size(1), key_heads = x.k.size(1);
  const at::Tensor products =
      at::matmul(grouped(x.q, block, key_heads), keys_of(x.k, block).transpose(2, 3));
  return by_heads(products, block, heads).to(wide);
}

// In place. Result: the slope of the cap at each score, if wanted.
at::Tensor cap_scores(at::Tensor& products, const AttentionCore& core, bool want_slope) {
  products.mul_(core.softcap > 0 ? core.scale / core.softcap : core.scale);
  if (core.softcap == 0) return {};
  products.tanh_();
  const at::Tensor slope = want_slope ? products.square().neg_().add_(1) : at::Tensor();
  products.mul_(core.softcap);
  return slope;
}

// Of a block: probabilities in place of the products.
struct Probabilities {
  at::Tensor values;
  at::Tensor log_sums;  // [b, n, queries, 1]: of the exponentials
  at::Tensor slope;     // of the cap, in the backward; undefined without one
};

bool has_row_kernels(const at::Tensor& products) {
  return products.is_cpu() && products.scalar_type() == at::kFloat;
}

// `log_sums`: known in the backward, else undefined.
Probabilities probabilities_in_rows(const at::Tensor& products, const at::Tensor& log_sums,
                                    const Operands& x, const Block& block,
                                    const AttentionCore& core) {
  const ScoreRule rule{core.scale, core.softcap, core.causal, core.sliding_window,
                       block.queries.begin - block.keys.begin};
  at::Tensor bias = x.bias.defined() ? part_of(x.bias, block) : x.bias;
  if (x.hidden.defined()) {
    const at::Tensor hidden = part_of(x.hidden, block);
    bias = (bias.defined() ? bias : at::zeros({}, products.options())).masked_fill(hidden, kNever);
  }
  Probabilities out{products, log_sums, {}};
  if (!log_sums.defined()) {
    out.log_sums = softmax_rows(products, bias, rule);
    return out;
  }
  if (core.softcap > 0) out.slope = at::empty_like(products);
  probability_rows(products, bias, log_sums, out.slope, rule);
  return out;
}

// The same as torch's operators.
Probabilities probabilities_of(const Operands& x, const Block& block, const AttentionCore& core,
                               at::ScalarType wide, const at::Tensor& log_sums) {
  at::Tensor scores = products_of(x, block, wide);
  if (has_row_kernels(scores)) return probabilities_in_rows(scores, log_sums, x, block, core);
  Probabilities out{scores, log_sums, cap_scores(scores, core, log_sums.defined())};
  if (x.bias.defined()) scores.add_(part_of(x.bias, block));
  const at::Tensor order = hidden_by_order(block, core, x.q.device());
  if (order.defined()) scores.masked_fill_(order, kNever);
  if (x.hidden.defined()) scores.masked_fill_(part_of(x.hidden, block), kNever);
  if (log_sums.defined()) {
    scores.sub_(log_sums).exp_();
    return out;
  }
  const at::Tensor most = scores.amax(-1, /*keepdim=*/true);
  scores.sub_(most).exp_();
  const at::Tensor sum = scores.sum(-1, /*keepdim=*/true);
  scores.div_(sum);
  out.log_sums = sum.log().add_(most);
  return out;
}

// Gradients of scores before the cap, in place of those of probabilities; `after_cap` is told those
// behind it, which are a bias' too.
template <typename AfterCap>
void to_score_gradients(at::Tensor& grad, const Probabilities& found, const at::Tensor& along,
                        double scale, bool tells, const AfterCap& after_cap) {
  if (has_row_kernels(grad)) {
    const bool at_once = !tells;
    score_gradient_rows(grad, found.values, along.contiguous(),
                        at_once ? found.slope : at::Tensor(), at_once ? scale : 1);
    if (at_once) return;
  } else {
    grad.sub_(along).mul_(found.values);
  }
  if (tells) after_cap(grad);
  if (found.slope.defined()) grad.mul_(found.slope);
  if (scale != 1) grad.mul_(scale);
}

// Addressed by places in whole sequences, as if all scores existed.
at::Tensor drop(const at::Tensor& x, const Block& block, const CoreCall& call, std::int64_t queries,
                std::int64_t keys) {
  if (!call.drops) return x;
  const AttentionCore& core = call.core;
  const double scale = 1 / (1 - core.dropout.p);
  const std::int64_t of_row = core.num_heads * queries * keys;
  const Places places{(call.first_row + block.samples.begin) * of_row +
                          core.heads.begin * queries * keys + block.queries.begin * keys +
                          block.keys.begin,
                      {of_row, queries * keys, keys}};
  if (x.is_cpu()) return kept_and_scaled(x, places, core.dropout.key, core.dropout.p, scale);
  const auto steps = [&](std::int64_t dim, std::int64_t stride) {
    return at::arange(x.size(dim), at::TensorOptions().dtype(at::kLong).device(x.device())) *
           stride;
  };
  const at::Tensor index = (steps(0, of_row) + places.first).view({-1, 1, 1, 1}) +
                           steps(1, queries * keys).view({-1, 1, 1}) +
                           steps(2, keys).view({-1, 1}) + steps(3, 1);
  return at::native_dropout_backward(x, keep_mask(index, core.dropout.key, core.dropout.p), scale);
}

struct BlockedAttention : torch::autograd::Function<BlockedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::optional<at::Tensor>& bias,
                            const std::optional<at::Tensor>& hidden, const CoreCall& call) {
    const at::ScalarType narrow = q.scalar_type(), wide = wide_of(narrow);
    const Operands x{q, k, v, widened(bias.value_or(at::Tensor()), wide),
                     hidden.value_or(at::Tensor())};
    const std::int64_t key_heads = k.size(1);
    // As a projection by tokens wants it.
    const at::Tensor out_BQND =
        at::empty({q.size(0), q.size(2), q.size(1), v.size(3)}, q.options());
    const at::Tensor out = out_BQND.transpose(1, 2);
    const at::Tensor sums =
        at::empty({q.size(0), q.size(1), q.size(2), 1}, q.options().dtype(wide));
    for (const Block& block : blocks_of(q, k, call.core)) {
      const Probabilities found = probabilities_of(x, block, call.core, wide, {});
      queries_of(sums, block).copy_(found.log_sums);
      const at::Tensor kept = drop(found.values, block, call, q.size(2), k.size(2)).to(narrow);
      const at::Tensor result = at::matmul(regrouped(kept, key_heads), keys_of(v, block));
      queries_of(out, block).copy_(by_heads(result, block, q.size(1)));
    }
    ctx->save_for_backward({q, k, v, bias.value_or(at::Tensor()), x.hidden, out_BQND, sums});
    ctx->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<CoreHolder>(call));
    return out_BQND;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Operands x{saved[0], saved[1], saved[2],
                     widened(saved[3], wide_of(saved[0].scalar_type())), saved[4]};
    const auto capsule = ctx->saved_data["call"].toCapsule();
    const CoreCall call = static_cast<CoreHolder*>(capsule.get())->call;
    const bool wants_bias = x.bias.defined() && ctx->needs_input_grad(3);
    Gradients sum(x, wants_bias);
    for (const Block& block : blocks_of(x.q, x.k, call.core))
      add_block(sum, x, saved[5].transpose(1, 2), saved[6], grads[0].transpose(1, 2), block, call);
    const at::ScalarType narrow = x.q.scalar_type();
    return {sum.q,
            sum.k.to(narrow),
            sum.v.to(narrow),
            sum.bias.defined() ? sum.bias.to(saved[3].scalar_type()) : at::Tensor(),
            {},
            {}};
  }

 private:
  // Those of keys and values are added up over blocks, in the wide type.
  struct Gradients {
    at::Tensor q, k, v, bias;
    Gradients(const Operands& x, bool of_bias) {
      const auto wide = x.k.options().dtype(wide_of(x.k.scalar_type()));
      q = at::empty(x.q.sizes(), x.q.options());
      k = at::zeros(x.k.sizes(), wide);
      v = at::zeros(x.v.sizes(), wide);
      if (of_bias) bias = at::zeros(x.bias.sizes(), wide);
    }
  };

  static at::ScalarType wide_of(at::ScalarType type) {
    return type == at::kDouble ? at::kDouble : at::kFloat;
  }
  static at::Tensor widened(const at::Tensor& bias, at::ScalarType wide) {
    return bias.defined() ? bias.to(wide).contiguous() : bias;
  }
  static at::Tensor queries_of(const at::Tensor& x, const Block& block) {
    return x.narrow(0, block.samples.begin, block.samples.size())
        .narrow(2, block.queries.begin, block.queries.size());
  }
  static at::Tensor regrouped(const at::Tensor& x, std::int64_t key_heads) {
    return x.view({x.size(0), key_heads, -1, x.size(3)});
  }

  static void add_block(Gradients& sum, const Operands& x, const at::Tensor& out,
                        const at::Tensor& sums, const at::Tensor& grad_out, const Block& block,
                        const CoreCall& call) {
    const at::ScalarType narrow = x.q.scalar_type(), wide = wide_of(narrow);
    const std::int64_t heads = x.q.size(1), key_heads = x.k.size(1);
    const auto dropped = [&](const at::Tensor& values) {
      return drop(values, block, call, x.q.size(2), x.k.size(2));
    };
    const Probabilities found =
        probabilities_of(x, block, call.core, wide, queries_of(sums, block).contiguous());

    const at::Tensor grad = grouped(grad_out, block, key_heads);
    const at::Tensor kept = regrouped(dropped(found.values).to(narrow), key_heads);
    keys_of(sum.v, block).add_(at::matmul(kept.transpose(2, 3), grad));
    at::Tensor grad_scores = dropped(
        by_heads(at::matmul(grad, keys_of(x.v, block).transpose(2, 3)), block, heads).to(wide));
    // sum_k P dP of a row is its dO . O (FlashAttention, section 3.1), dropout included.
    const at::Tensor along =
        (queries_of(grad_out, block).to(wide) * queries_of(out, block)).sum(-1, /*keepdim=*/true);
    to_score_gradients(grad_scores, found, along, call.core.scale, sum.bias.defined(),
                       [&](const at::Tensor& behind_cap) {
                         at::Tensor part = part_of(sum.bias, block);
                         part.add_(at::sum_to(behind_cap, part.sizes()));
                       });
    const at::Tensor rows = regrouped(grad_scores.to(narrow), key_heads);
    queries_of(sum.q, block).copy_(by_heads(at::matmul(rows, keys_of(x.k, block)), block, heads));
    keys_of(sum.k, block).add_(at::matmul(rows.transpose(2, 3), grouped(x.q, block, key_heads)));
  }
};

}  // namespace

at::Tensor blocked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const at::Tensor& bias, const at::Tensor& hidden_B1QK,
                             const AttentionCore& core, const LayerCall& call) {
  const std::int64_t windows = call.num_samples > 0 ? q.size(0) / call.num_samples : 1;
  const auto if_there = [](const at::Tensor& x) {
    return x.defined() ? std::optional(x) : std::nullopt;
  };
  const at::Tensor out_BQND = BlockedAttention::apply(
      q, k, v, if_there(bias), if_there(hidden_B1QK),
      CoreCall{core, call.first_sample * windows, core.dropout.active(call)});
  return out_BQND.transpose(1, 2);
}

}  // namespace galvatron::nn
