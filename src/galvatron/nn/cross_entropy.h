// Output projection and cross entropy in one, with the vocabulary divided over the tensor-parallel
// ranks. Logits exist for a chunk of tokens at a time and are never kept.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>

#include "galvatron/comm/group.h"

namespace galvatron::nn {

// Which rows of the vocabulary a rank holds, and what is done with logits.
struct VocabularyPart {
  std::int64_t first_row = 0;
  std::int64_t vocab_size = 0;  // of all ranks
  double softcap = 0;           // as of linear_logits
};

// What of a token's target is not its label.
struct SoftTargets {
  // [M, 2] of fp64, or undefined: another label and its share of the target (Zhang et al. 2018);
  // the label has the rest.
  at::Tensor second_M2;
  double smoothing = 0;  // share of the target that all rows divide evenly (Szegedy et al. 2016)
  bool any() const { return second_M2.defined() || smoothing > 0; }
};

// Sum over tokens of -log softmax(linear_logits(hidden, W, b, softcap))[label]; labels equal to
// kIgnoreLabel do not count. With soft targets it is the cross entropy with them. hidden [M, H],
// labels [M] (int64), weight: the rows of `part`; bias: the same rows, or undefined. The scalar
// (fp64 for fp64, else fp32) is equal on all ranks of `group`. Gradients are of `gradient_scale`
// times the loss; the weight's and the bias's come in the scalar's type, which the leaves must
// allow (at::Tensor::set_grad_dtype) or round. The gradient of hidden is this rank's share: it must
// be summed over the group, as the backward of gather_sequence does. Gradients are computed in the
// forward, so the function must be called where they are wanted (grad mode) right before its
// backward, which takes a gradient of 1.
at::Tensor linear_cross_entropy(const at::Tensor& hidden_MH, const at::Tensor& weight,
                                const at::Tensor& bias, const at::Tensor& labels_M,
                                const VocabularyPart& part, const comm::Group& group,
                                double gradient_scale = 1, const SoftTargets& soft = {});

// [sum of losses, labels that have the highest logit], without a gradient. Of equal logits the
// first counts, however the vocabulary is divided.
at::Tensor linear_scores(const at::Tensor& hidden_MH, const at::Tensor& weight,
                         const at::Tensor& bias, const at::Tensor& labels_M,
                         const VocabularyPart& part, const comm::Group& group);

// The logits that the loss is of: [M, rows]. With `softcap` x becomes cap * tanh(x / cap).
at::Tensor linear_logits(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& bias,
                         double softcap = 0);

// Tokens whose logits exist at one time (base/logit_rows.h). Equal on all ranks of a group.
std::int64_t cross_entropy_chunk(std::int64_t vocab_size, int tp_degree, c10::DeviceType device);

}  // namespace galvatron::nn
