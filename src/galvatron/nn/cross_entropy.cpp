#include "galvatron/nn/cross_entropy.h"

#include <algorithm>
#include <limits>

#include "galvatron/base/logit_rows.h"
#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {
namespace {

at::ScalarType wide_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor logits_of(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::addmm(bias, rows, weight.t()) : at::mm(rows, weight.t());
}

// In place. Result: the slope of the cap at each logit, if wanted.
at::Tensor cap_logits(at::Tensor& logits, double cap, bool want_slope) {
  logits.div_(cap).tanh_();
  const at::Tensor slope = want_slope ? logits.square().neg_().add_(1) : at::Tensor();
  logits.mul_(cap);
  return slope;
}

// What one chunk of tokens gives: its loss, and what is wanted beside it: d loss / d logits in
// place of the logits, or how many labels have the highest logit.
enum class Beside { kNothing, kGradient, kCorrect };
struct ChunkLoss {
  at::Tensor loss_sum;
  at::Tensor grad_logits, correct;
};

// Row of the highest logit in the whole vocabulary: the first of equal ones.
at::Tensor best_row(const at::Tensor& own_maximum, const at::Tensor& own_column,
                    const at::Tensor& maximum, std::int64_t first_row, const comm::Group& group) {
  const at::Tensor behind_all = at::full_like(own_column, std::numeric_limits<std::int64_t>::max());
  at::Tensor best = at::where(own_maximum.eq(maximum), own_column + first_row, behind_all).neg();
  group.all_reduce(best, comm::Reduction::kMax);
  return best.neg_();
}

// Softmax statistics need two numbers per token from all ranks: the maximum, and the sum of
// exponentials beside the label's logit (Megatron-LM's vocab-parallel cross entropy, with its last
// two reductions in one).
ChunkLoss chunk_loss(const at::Tensor& logits_in, const at::Tensor& labels, std::int64_t first_row,
                     const comm::Group& group, Beside wanted) {
  at::Tensor logits = logits_in;
  ChunkLoss out;
  const at::Tensor ignored = labels.eq(kIgnoreLabel);
  at::Tensor maximum;
  if (wanted == Beside::kCorrect) {
    const auto [own, column] = logits.max(1, /*keepdim=*/true);
    maximum = own.clone();
    group.all_reduce(maximum, comm::Reduction::kMax);
    const at::Tensor best = best_row(own, column, maximum, first_row, group).squeeze(1);
    out.correct = best.eq(labels).logical_and_(ignored.logical_not()).sum();
  } else {
    maximum = logits.amax(1, /*keepdim=*/true);
    group.all_reduce(maximum, comm::Reduction::kMax);
  }
  logits.sub_(maximum);
  const at::Tensor local = labels - first_row;
  const at::Tensor mine =
      local.ge(0).logical_and_(local.lt(logits.size(1))).logical_and_(ignored.logical_not());
  const at::Tensor column = at::where(mine, local, at::zeros_like(local)).unsqueeze(1);
  at::Tensor statistics = at::empty({2, labels.size(0)}, logits.options());
  statistics[0].copy_(logits.gather(1, column).squeeze(1).mul_(mine));
  logits.exp_();
  at::Tensor sums = statistics[1];
  at::sum_out(sums, logits, at::IntArrayRef{1});
  group.all_reduce(statistics);
  const at::Tensor counted = ignored.logical_not().to(logits.scalar_type());
  out.loss_sum = statistics[1].log().sub_(statistics[0]).mul_(counted).sum();
  if (wanted == Beside::kGradient) {
    logits.mul_((counted / statistics[1]).unsqueeze(1));
    logits.scatter_add_(1, column, mine.to(logits.scalar_type()).neg().unsqueeze(1));
    out.grad_logits = logits;
  }
  return out;
}

struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& hidden,
                            const at::Tensor& weight,
                            const std::optional<at::Tensor>& optional_bias,
                            const at::Tensor& labels, std::int64_t first_row,
                            std::int64_t vocab_size, const comm::Group& group, double softcap,
                            bool with_grad) {
    const at::Tensor bias = optional_bias.value_or(at::Tensor());
    const at::ScalarType wide = wide_type(hidden), narrow = hidden.scalar_type();
    const std::int64_t tokens = hidden.size(0),
                       step = cross_entropy_chunk(vocab_size, group.size());
    at::Tensor loss = at::zeros({}, hidden.options().dtype(wide));
    at::Tensor grad_hidden, grad_weight, grad_bias;
    if (with_grad) {
      grad_hidden = at::empty_like(hidden);
      grad_weight = at::empty(weight.sizes(), weight.options().dtype(wide));
      if (tokens == 0) grad_weight.zero_();
      if (bias.defined()) grad_bias = at::zeros(bias.sizes(), bias.options().dtype(wide));
    }
    for (std::int64_t begin = 0; begin < tokens; begin += step) {
      const std::int64_t count = std::min(step, tokens - begin);
      const at::Tensor rows = hidden.narrow(0, begin, count);
      at::Tensor logits = logits_of(rows, weight, bias).to(wide);
      const at::Tensor slope = softcap > 0 ? cap_logits(logits, softcap, with_grad) : at::Tensor();
      const ChunkLoss part = chunk_loss(logits, labels.narrow(0, begin, count), first_row, group,
                                        with_grad ? Beside::kGradient : Beside::kNothing);
      loss.add_(part.loss_sum);
      if (!with_grad) continue;
      if (slope.defined()) part.grad_logits.mul_(slope);
      if (bias.defined()) grad_bias.add_(part.grad_logits.sum(0));
      const at::Tensor grad_logits = part.grad_logits.to(narrow);
      at::Tensor grad_rows = grad_hidden.narrow(0, begin, count);
      at::mm_out(grad_rows, grad_logits, weight);
      if (begin == 0) {
        wide == narrow ? at::mm_out(grad_weight, grad_logits.t(), rows)
                       : grad_weight.copy_(at::mm(grad_logits.t(), rows));
      } else if (wide == narrow) {
        grad_weight.addmm_(grad_logits.t(), rows);
      } else {
        grad_weight.add_(at::mm(grad_logits.t(), rows));
      }
    }
    if (with_grad) {
      if (bias.defined()) grad_bias = grad_bias.to(bias.scalar_type());
      ctx->save_for_backward({grad_hidden, grad_weight.to(weight.scalar_type()), grad_bias});
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    auto saved = ctx->get_saved_variables();
    const auto scaled = [&](at::Tensor& grad) {
      return !grad.defined() ? grad : grad.mul_(grads[0].to(grad.scalar_type()));
    };
    // The saved gradients are ours alone, so they are scaled in place. A scale of fp16's range is
    // applied before rounding matters: loss scaling multiplies by powers of two.
    return {scaled(saved[0]), scaled(saved[1]), scaled(saved[2]), {}, {}, {}, {}, {}, {}};
  }
};

}  // namespace

std::int64_t cross_entropy_chunk(std::int64_t vocab_size, int tp_degree) {
  return rows_of_logits_at_once(largest_chunk(vocab_size, tp_degree));
}

at::Tensor linear_cross_entropy(const at::Tensor& hidden_MH, const at::Tensor& weight,
                                const at::Tensor& bias, const at::Tensor& labels_M,
                                std::int64_t first_row, std::int64_t vocab_size,
                                const comm::Group& group, double softcap) {
  const auto optional_bias = bias.defined() ? std::optional(bias) : std::nullopt;
  return LinearCrossEntropy::apply(hidden_MH, weight, optional_bias, labels_M, first_row,
                                   vocab_size, group, softcap, at::GradMode::is_enabled());
}

at::Tensor linear_scores(const at::Tensor& hidden_MH, const at::Tensor& weight,
                         const at::Tensor& bias, const at::Tensor& labels_M, std::int64_t first_row,
                         std::int64_t vocab_size, const comm::Group& group, double softcap) {
  const at::NoGradGuard no_grad;
  const std::int64_t tokens = hidden_MH.size(0),
                     step = cross_entropy_chunk(vocab_size, group.size());
  const at::ScalarType wide = wide_type(hidden_MH);
  // Counts beyond 2^24 have no place in fp32.
  at::Tensor scores = at::zeros({2}, hidden_MH.options().dtype(at::kDouble));
  for (std::int64_t begin = 0; begin < tokens; begin += step) {
    const std::int64_t count = std::min(step, tokens - begin);
    at::Tensor logits = logits_of(hidden_MH.narrow(0, begin, count), weight, bias).to(wide);
    if (softcap > 0) cap_logits(logits, softcap, /*want_slope=*/false);
    const ChunkLoss part =
        chunk_loss(logits, labels_M.narrow(0, begin, count), first_row, group, Beside::kCorrect);
    scores.add_(at::stack({part.loss_sum.to(at::kDouble), part.correct.to(at::kDouble)}));
  }
  return scores;
}

at::Tensor linear_logits(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& bias,
                         double softcap) {
  const at::Tensor logits =
      at::linear(hidden, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  return softcap > 0 ? logits.div(softcap).tanh().mul(softcap) : logits;
}

}  // namespace galvatron::nn
