#include "galvatron/nn/cross_entropy.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/base/logit_rows.h"
#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"
#include "galvatron/nn/mixed_product.h"

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

// What one chunk of tokens gives: its loss, and what is wanted beside it: d loss / d logits times a
// factor in place of the logits, or how many labels have the highest logit.
enum class Beside { kNothing, kGradient, kCorrect };
struct ChunkLoss {
  at::Tensor loss_sum;
  at::Tensor correct;
};

// Of each row, as one rank sees it: the maximum of its logits, the sum of their exponentials below
// it, the label's logit (the mean of the targets'), and where the highest lies. One all-gather for
// a chunk brings together what all ranks see.
enum Statistic { kMaximum, kSum, kLabel, kBest, kNumStatistics };
// A row of the vocabulary must be a number of fp32.
constexpr std::int64_t kMostRows = std::int64_t{1} << 24;

struct LabelPlace {
  at::Tensor counts;  // in the logits' type: 1 where the label counts
  at::Tensor mine;    // and lies in this rank's rows
  at::Tensor column;  // there; 0 elsewhere
};

// The targets of one chunk of tokens, as far as they lie in this rank's rows: two labels with their
// shares, and what all rows have.
struct ChunkTargets {
  LabelPlace label, second;  // `second` undefined where there is none
  at::Tensor label_share, second_share;
  double of_each_row = 0;

  // [M]: the sum over the rows of target times logit.
  at::Tensor mean_logit(const at::Tensor& logits) const {
    at::Tensor out = logits.gather(1, label.column).squeeze(1).mul_(label_share);
    if (second_share.defined())
      out.add_(logits.gather(1, second.column).squeeze(1).mul_(second_share));
    if (of_each_row > 0) out.add_(logits.sum(1), of_each_row);
    return out;
  }
  // Takes `factor` times the targets of tokens that count off their gradients.
  void subtract_from(at::Tensor& gradients, double factor) const {
    gradients.scatter_add_(1, label.column,
                           label_share.mul(label.counts).mul_(-factor).unsqueeze(1));
    if (second_share.defined())
      gradients.scatter_add_(1, second.column,
                             second_share.mul(label.counts).mul_(-factor).unsqueeze(1));
    if (of_each_row > 0) gradients.sub_(label.counts.unsqueeze(1), factor * of_each_row);
  }
};

LabelPlace place_of(const at::Tensor& labels, const VocabularyPart& part,
                    const at::Tensor& logits) {
  const at::Tensor counts = labels.ne(kIgnoreLabel);
  const at::Tensor local = labels - part.first_row;
  const at::Tensor mine = local.ge(0).logical_and_(local.lt(logits.size(1))).logical_and_(counts);
  return {counts.to(logits.scalar_type()), mine.to(logits.scalar_type()),
          at::where(mine, local, 0).unsqueeze(1)};
}

ChunkTargets targets_of(const at::Tensor& labels, const SoftTargets& soft,
                        const VocabularyPart& part, const at::Tensor& logits) {
  ChunkTargets out;
  out.label = place_of(labels, part, logits);
  out.label_share = out.label.mine;
  if (!soft.any()) return out;
  const double rest = 1 - soft.smoothing;
  out.of_each_row = soft.smoothing / static_cast<double>(part.vocab_size);
  at::Tensor first = out.label.mine.to(at::kDouble).mul_(rest);
  if (soft.second_M2.defined()) {
    const at::Tensor share = soft.second_M2.select(1, 1);
    out.second = place_of(soft.second_M2.select(1, 0).to(at::kLong), part, logits);
    out.second_share =
        out.second.mine.to(at::kDouble).mul_(share).mul_(rest).to(logits.scalar_type());
    first.mul_(1 - share);
  }
  out.label_share = first.to(logits.scalar_type());
  return out;
}

// Leaves the exponentials below this rank's maximum in place of the logits.
at::Tensor own_statistics(at::Tensor& logits, const ChunkTargets& targets,
                          const VocabularyPart& part, Beside wanted) {
  const std::int64_t rows = logits.size(0);
  const std::int64_t count = wanted == Beside::kCorrect ? kNumStatistics : kBest;
  const at::Tensor out = at::empty({count, rows}, logits.options());
  if (wanted == Beside::kCorrect) {
    GALV_CHECK(part.vocab_size < kMostRows, "a vocabulary of ", part.vocab_size);
    const auto [maximum, best] = logits.max(1);
    out[kMaximum].copy_(maximum);
    out[kBest].copy_(best + part.first_row);
  } else {
    at::Tensor maximum = out[kMaximum];
    at::amax_out(maximum, logits, at::IntArrayRef{1});
  }
  out[kLabel].copy_(targets.mean_logit(logits));
  logits.sub_(out[kMaximum].unsqueeze(1)).exp_();
  at::Tensor sums = out[kSum];
  at::sum_out(sums, logits, at::IntArrayRef{1});
  return out;
}

// Megatron-LM's vocab-parallel cross entropy with its three reductions in one exchange.
ChunkLoss chunk_loss(at::Tensor& logits, const at::Tensor& labels, const SoftTargets& soft,
                     const VocabularyPart& part, const comm::Group& group, Beside wanted,
                     double factor) {
  const ChunkTargets targets = targets_of(labels, soft, part, logits);
  const at::Tensor& counts = targets.label.counts;
  const at::Tensor own = own_statistics(logits, targets, part, wanted);
  at::Tensor all = own.unsqueeze(0);  // [ranks, statistics, rows]
  if (group.size() > 1) {
    all = at::empty({group.size(), own.size(0), own.size(1)}, own.options());
    group.all_gather(all, own);
  }
  const at::Tensor maxima = all.select(1, kMaximum), maximum = maxima.amax(0);
  const at::Tensor sum = (maxima - maximum).exp_().mul_(all.select(1, kSum)).sum(0);
  ChunkLoss out;
  out.loss_sum = (sum.log() + maximum).sub_(all.select(1, kLabel).sum(0)).mul_(counts).sum();
  if (wanted == Beside::kCorrect) {
    // Of equal logits the first row counts.
    const at::Tensor best =
        at::where(maxima.eq(maximum), all.select(1, kBest), static_cast<double>(kMostRows)).amin(0);
    out.correct = best.eq(labels).to(logits.scalar_type()).mul_(counts).sum();
  }
  if (wanted == Beside::kGradient) {
    const at::Tensor share = (own[kMaximum] - maximum).exp_().div_(sum).mul_(counts);
    logits.mul_(share.mul_(factor).unsqueeze(1));
    targets.subtract_from(logits, factor);
  }
  return out;
}

SoftTargets rows_of(const SoftTargets& soft, std::int64_t begin, std::int64_t count) {
  if (!soft.second_M2.defined()) return soft;
  return {soft.second_M2.narrow(0, begin, count), soft.smoothing};
}

struct Gradients {
  at::Tensor hidden, weight, bias;
};

// For all tokens; those of weight and bias in the logits' type.
Gradients empty_gradients(const at::Tensor& hidden, const at::Tensor& weight,
                          const at::Tensor& bias, at::ScalarType wide) {
  Gradients out;
  out.hidden = at::empty_like(hidden);
  out.weight = at::empty(weight.sizes(), weight.options().dtype(wide));
  if (hidden.size(0) == 0) out.weight.zero_();
  if (bias.defined()) out.bias = at::zeros(bias.sizes(), bias.options().dtype(wide));
  return out;
}

// What the logits' gradients are multiplied by before they are rounded to their products' type,
// which takes it back: a power of two, so that it changes no rounding, and none becomes larger than
// it. fp16 has no small numbers.
double factor_of(at::ScalarType narrow) { return narrow == at::kHalf ? 0x1p15 : 1; }

// The loss's scale is told to the products: times it, the labels' gradients, all nearly -1, would
// be rounded to one side. The gradient of the weight stays in fp32 from the first chunk to whoever
// adds it up.
struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& hidden,
                            const at::Tensor& weight,
                            const std::optional<at::Tensor>& optional_bias,
                            const at::Tensor& labels, const VocabularyPart& part,
                            const comm::Group& group, double scale, const SoftTargets& soft,
                            bool with_grad) {
    const at::Tensor bias = optional_bias.value_or(at::Tensor());
    const at::ScalarType wide = wide_type(hidden), narrow = hidden.scalar_type();
    const std::int64_t tokens = hidden.size(0);
    const std::int64_t step =
        cross_entropy_chunk(part.vocab_size, group.size(), hidden.device().type());
    at::Tensor loss = at::zeros({}, hidden.options().dtype(wide));
    const double factor = factor_of(narrow), alpha = scale / factor;
    Gradients grad;
    if (with_grad) grad = empty_gradients(hidden, weight, bias, wide);
    for (std::int64_t begin = 0; begin < tokens; begin += step) {
      const std::int64_t count = std::min(step, tokens - begin);
      const at::Tensor rows = hidden.narrow(0, begin, count);
      at::Tensor logits = logits_of(rows, weight, bias).to(wide);
      const at::Tensor slope =
          part.softcap > 0 ? cap_logits(logits, part.softcap, with_grad) : at::Tensor();
      const ChunkLoss found =
          chunk_loss(logits, labels.narrow(0, begin, count), rows_of(soft, begin, count), part,
                     group, with_grad ? Beside::kGradient : Beside::kNothing, factor);
      loss.add_(found.loss_sum);
      if (!with_grad) continue;
      if (slope.defined()) logits.mul_(slope);
      if (bias.defined()) grad.bias.add_(logits.sum(0), alpha);
      const at::Tensor grad_logits = logits.to(narrow);
      at::Tensor grad_rows = grad.hidden.narrow(0, begin, count);
      at::addmm_out(grad_rows, grad_rows, grad_logits, weight, /*beta=*/0, alpha);
      add_product(grad.weight, grad_logits, rows, alpha,
                  begin == 0 ? IntoSum::kSet : IntoSum::kAdd);
    }
    if (with_grad) ctx->save_for_backward({grad.hidden, grad.weight, grad.bias});
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    const at::Tensor& seed = grads[0];
    const bool is_one = !seed.is_cpu() || seed.to(at::kDouble).const_data_ptr<double>()[0] == 1;
    GALV_CHECK(is_one, "the scale of a loss's gradients is told in its forward");
    const auto saved = ctx->get_saved_variables();
    return {saved[0], saved[1], saved[2], {}, {}, {}, {}, {}, {}};
  }
};

}  // namespace

std::int64_t cross_entropy_chunk(std::int64_t vocab_size, int tp_degree, c10::DeviceType device) {
  return rows_of_logits_at_once(largest_chunk(vocab_size, tp_degree), device == c10::kCPU);
}

at::Tensor linear_cross_entropy(const at::Tensor& hidden_MH, const at::Tensor& weight,
                                const at::Tensor& bias, const at::Tensor& labels_M,
                                const VocabularyPart& part, const comm::Group& group,
                                double gradient_scale, const SoftTargets& soft) {
  const auto optional_bias = bias.defined() ? std::optional(bias) : std::nullopt;
  return LinearCrossEntropy::apply(hidden_MH, weight, optional_bias, labels_M, part, group,
                                   gradient_scale, soft, at::GradMode::is_enabled());
}

at::Tensor linear_scores(const at::Tensor& hidden_MH, const at::Tensor& weight,
                         const at::Tensor& bias, const at::Tensor& labels_M,
                         const VocabularyPart& part, const comm::Group& group) {
  const at::NoGradGuard no_grad;
  const std::int64_t tokens = hidden_MH.size(0);
  const std::int64_t step =
      cross_entropy_chunk(part.vocab_size, group.size(), hidden_MH.device().type());
  const at::ScalarType wide = wide_type(hidden_MH);
  // Counts beyond 2^24 have no place in fp32.
  at::Tensor scores = at::zeros({2}, hidden_MH.options().dtype(at::kDouble));
  for (std::int64_t begin = 0; begin < tokens; begin += step) {
    const std::int64_t count = std::min(step, tokens - begin);
    at::Tensor logits = logits_of(hidden_MH.narrow(0, begin, count), weight, bias).to(wide);
    if (part.softcap > 0) cap_logits(logits, part.softcap, /*want_slope=*/false);
    const ChunkLoss found = chunk_loss(logits, labels_M.narrow(0, begin, count), {}, part, group,
                                       Beside::kCorrect, /*factor=*/1);
    scores.add_(at::stack({found.loss_sum.to(at::kDouble), found.correct.to(at::kDouble)}));
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
