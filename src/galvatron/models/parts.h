// What the families' layers are made of: parameters found by name, and the calls of nn/ that use
// them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/nn/attention.h"
#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"
#include "galvatron/nn/mlp.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// Finds a layer's parameters by their names in the spec table, so that no order is written twice.
class ParamIndex {
 public:
  explicit ParamIndex(const spec::LayerSpec& layer);
  int at(const std::string& name) const;    // the layer must have it
  int find(const std::string& name) const;  // -1 where the layer has none

 private:
  const spec::LayerSpec* layer_;
};

// params[index], or an undefined tensor for -1.
const at::Tensor& param_or_none(const std::vector<at::Tensor>& params, int index);

// First row of the vocabulary that this tensor-parallel rank holds.
std::int64_t first_vocab_row(const spec::ModelSpec& model, const comm::Group& tp);

nn::ActivationKind activation_kind(spec::Activation activation);

// Of q.k before the softmax.
double attention_scale(const spec::TransformerShape& shape);

// Dropout whose masks belong to this place in the model: "attention.residual.dropout".
nn::Dropout dropout_at(const spec::LayerSpec& layer, const nn::LayerPlacement& placement, double p,
                       const std::string& site);

// The tokens' embedding "tokens.weight", scaled as the layer's shape says.
class TokenEmbedding {
 public:
  TokenEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                 const nn::LayerPlacement& placement);
  // [B, S, H] at the border.
  at::Tensor operator()(const std::vector<at::Tensor>& params, const nn::LayerCall& call) const;

 private:
  nn::LayerGroups groups_;
  int tokens_;
  std::int64_t first_row_, padding_token_;
  double scale_;
};

// Learned positions of this rank's tokens: rows of a table [positions, H], from row `first` on.
// [S, H], or [B, S, H] where the call says what they are.
at::Tensor position_rows(const at::Tensor& table, const nn::LayerCall& call,
                         std::int64_t first = 0);

// A norm whose weights are found by prefix: "attention_norm". Layer or RMS norm, as the layer's
// shape says.
class NormCall {
 public:
  NormCall(const spec::LayerSpec& layer, const std::string& prefix);
  at::Tensor operator()(const at::Tensor& x, const std::vector<at::Tensor>& params) const;

 private:
  spec::Norm norm_;
  double epsilon_;
  int weight_;
  int bias_;
};

// Self-attention over the parameters "attention.*" and what the layer's shape says of it.
class AttentionCall {
 public:
  AttentionCall(const spec::LayerSpec& layer, const nn::LayerPlacement& placement);
  at::Tensor operator()(const at::Tensor& x_BSH, const std::vector<at::Tensor>& params,
                        const nn::LayerCall& call) const;

 private:
  nn::LayerGroups groups_;
  nn::AttentionOptions options_;
  int qkv_weight_, qkv_bias_, output_weight_, output_bias_, query_norm_, key_norm_, window_bias_,
      relative_bias_;
};

// The feed-forward half over the parameters "mlp.*".
class MlpCall {
 public:
  MlpCall(const spec::LayerSpec& layer, const nn::LayerPlacement& placement);
  at::Tensor operator()(const at::Tensor& x_BSH, const std::vector<at::Tensor>& params,
                        const nn::LayerCall& call) const;

 private:
  nn::LayerGroups groups_;
  nn::MlpOptions options_;
  int up_weight_, up_bias_, down_weight_, down_bias_;
};

// What every head of tokens ends in: the projection "output.*" on the vocabulary and the cross
// entropy with the labels.
class VocabularyOutput {
 public:
  VocabularyOutput(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                   const nn::LayerPlacement& placement);
  // The sum of losses, or the logits [B, T, V / tp] or scores where the call asks for them.
  at::Tensor operator()(const at::Tensor& hidden_BSH, const std::vector<at::Tensor>& params,
                        const nn::LayerCall& call) const;

 private:
  comm::Group tp_;
  int weight_, bias_;
  std::int64_t vocab_size_, first_row_;
  double softcap_;
};

}  // namespace galvatron::models
