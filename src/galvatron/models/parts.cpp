#include "galvatron/models/parts.h"

#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/cross_entropy.h"
#include "galvatron/nn/embedding.h"
#include "galvatron/nn/norm.h"

namespace galvatron::models {
namespace {

nn::HeadNorm head_norm(spec::HeadNorm norm) {
  switch (norm) {
    case spec::HeadNorm::kNone:
      return nn::HeadNorm::kNone;
    case spec::HeadNorm::kEach:
      return nn::HeadNorm::kEach;
    case spec::HeadNorm::kTogether:
      return nn::HeadNorm::kTogether;
  }
  GALV_CHECK(false, "unknown head norm");
}

double norm_offset(spec::Norm norm) { return norm == spec::Norm::kRmsNormPlusOne ? 1 : 0; }

}  // namespace

ParamIndex::ParamIndex(const spec::LayerSpec& layer) : layer_(&layer) {}

int ParamIndex::find(const std::string& name) const {
  for (std::size_t i = 0; i < layer_->params.size(); ++i) {
    if (layer_->params[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

int ParamIndex::at(const std::string& name) const {
  const int index = find(name);
  GALV_CHECK(index >= 0, "layer ", layer_->name, " declares no parameter ", name);
  return index;
}

const at::Tensor& param_or_none(const std::vector<at::Tensor>& params, int index) {
  static const at::Tensor kNone;
  return index < 0 ? kNone : params[static_cast<std::size_t>(index)];
}

std::int64_t first_vocab_row(const spec::ModelSpec& model, const comm::Group& tp) {
  return chunk(model.vocab_size, tp.size(), tp.rank()).begin;
}

nn::ActivationKind activation_kind(spec::Activation activation) {
  switch (activation) {
    case spec::Activation::kGelu:
      return nn::ActivationKind::kGelu;
    case spec::Activation::kGeluTanh:
      return nn::ActivationKind::kGeluTanh;
    case spec::Activation::kRelu:
      return nn::ActivationKind::kRelu;
    case spec::Activation::kSilu:
      return nn::ActivationKind::kSilu;
  }
  GALV_CHECK(false, "unknown activation");
}

double attention_scale(const spec::TransformerShape& shape) {
  return shape.attention_scale > 0 ? shape.attention_scale
                                   : 1 / std::sqrt(static_cast<double>(shape.head_size));
}

nn::Dropout dropout_at(const spec::LayerSpec& layer, const nn::LayerPlacement& placement, double p,
                       const std::string& site) {
  return {p, nn::random_key(placement.seed, layer.name + "." + site)};
}

TokenEmbedding::TokenEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                               const nn::LayerPlacement& placement)
    : groups_(placement.groups),
      tokens_(ParamIndex(layer).at("tokens.weight")),
      first_row_(first_vocab_row(model, placement.groups.tp)),
      padding_token_(model.padding_token),
      scale_(layer.shape.embedding_scale) {}

at::Tensor TokenEmbedding::operator()(const std::vector<at::Tensor>& params,
                                      const nn::LayerCall& call) const {
  const at::Tensor tokens_BSH = nn::vocab_parallel_embedding(
      call.inputs.tokens_BT, params[tokens_], first_row_, groups_, call, padding_token_);
  if (scale_ == 1) return tokens_BSH;
  // As Hugging Face: the scale is rounded to the activation's type first.
  return tokens_BSH * at::scalar_tensor(scale_, tokens_BSH.options());
}

at::Tensor position_rows(const at::Tensor& table, const nn::LayerCall& call, std::int64_t first) {
  const Range tokens = call.sequence.tokens;
  const at::Tensor& positions_BL = call.documents.positions_BL;
  if (!positions_BL.defined()) return table.narrow(0, first + tokens.begin, tokens.size());
  return at::embedding(table, positions_BL.narrow(1, tokens.begin, tokens.size()) + first);
}

NormCall::NormCall(const spec::LayerSpec& layer, const std::string& prefix)
    : norm_(layer.shape.norm),
      epsilon_(layer.shape.norm_epsilon),
      weight_(ParamIndex(layer).at(prefix + ".weight")),
      bias_(ParamIndex(layer).find(prefix + ".bias")) {}

at::Tensor NormCall::operator()(const at::Tensor& x, const std::vector<at::Tensor>& params) const {
  if (norm_ != spec::Norm::kLayerNorm)
    return nn::rms_norm(x, params[weight_], epsilon_, norm_offset(norm_));
  return nn::layer_norm(x, params[weight_], param_or_none(params, bias_), epsilon_);
}

AttentionCall::AttentionCall(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
    : groups_(placement.groups) {
  const spec::TransformerShape& shape = layer.shape;
  options_ = {
      .num_heads = shape.num_heads,
      .num_kv_heads = shape.num_kv_heads,
      .head_size = shape.head_size,
      .scale = attention_scale(shape),
      .rotary = {shape.rope.inverse_frequencies, shape.rope.scale},
      .causal = shape.causal,
      .sliding_window = shape.sliding_window,
      .softcap = shape.attention_softcap,
      .head_norm = head_norm(shape.head_norm),
      .head_norm_epsilon = shape.norm_epsilon,
      .head_norm_offset = norm_offset(shape.norm),
      .relative_bias = {shape.relative_bias.num_buckets, shape.relative_bias.max_distance,
                        !shape.causal},
      .window = {shape.window.height, shape.window.width, shape.window.size, shape.window.shift},
      .recompute_core = placement.recompute_core,
      .dropout = dropout_at(layer, placement, shape.attention_dropout, "attention.dropout"),
      .linears = placement.linears};
  const ParamIndex index(layer);
  qkv_weight_ = index.at("attention.qkv.weight");
  qkv_bias_ = index.find("attention.qkv.bias");
  output_weight_ = index.at("attention.output.weight");
  output_bias_ = index.find("attention.output.bias");
  query_norm_ = index.find("attention.query_norm.weight");
  key_norm_ = index.find("attention.key_norm.weight");
  window_bias_ = index.find("attention.window_bias");
  relative_bias_ = index.find("attention.relative_bias.weight");
}

at::Tensor AttentionCall::operator()(const at::Tensor& x_BSH, const std::vector<at::Tensor>& params,
                                     const nn::LayerCall& call) const {
  const nn::AttentionParams attention{params[qkv_weight_],
                                      param_or_none(params, qkv_bias_),
                                      params[output_weight_],
                                      param_or_none(params, output_bias_),
                                      param_or_none(params, query_norm_),
                                      param_or_none(params, key_norm_),
                                      param_or_none(params, window_bias_),
                                      param_or_none(params, relative_bias_)};
  return nn::self_attention(x_BSH, attention, options_, groups_, call);
}

MlpCall::MlpCall(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
    : groups_(placement.groups) {
  const spec::TransformerShape& shape = layer.shape;
  options_ = {.activation = activation_kind(shape.activation),
              .gated = shape.gated_mlp,
              .inner_size = shape.intermediate_size,
              .dropout = dropout_at(layer, placement, shape.mlp_dropout, "mlp.dropout"),
              .linears = placement.linears};
  const ParamIndex index(layer);
  const std::string up = shape.gated_mlp ? "mlp.gate_up" : "mlp.up";
  up_weight_ = index.at(up + ".weight");
  up_bias_ = index.find(up + ".bias");
  down_weight_ = index.at("mlp.down.weight");
  down_bias_ = index.find("mlp.down.bias");
}

at::Tensor MlpCall::operator()(const at::Tensor& x_BSH, const std::vector<at::Tensor>& params,
                               const nn::LayerCall& call) const {
  const nn::MlpParams mlp{params[up_weight_], param_or_none(params, up_bias_), params[down_weight_],
                          param_or_none(params, down_bias_)};
  return nn::mlp(x_BSH, mlp, options_, groups_, call);
}

VocabularyOutput::VocabularyOutput(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                                   const nn::LayerPlacement& placement)
    : tp_(placement.groups.tp),
      weight_(ParamIndex(layer).at("output.weight")),
      bias_(ParamIndex(layer).find("output.bias")),
      vocab_size_(model.vocab_size),
      first_row_(first_vocab_row(model, placement.groups.tp)),
      softcap_(layer.shape.logit_softcap) {}

at::Tensor VocabularyOutput::operator()(const at::Tensor& hidden_BSH,
                                        const std::vector<at::Tensor>& params,
                                        const nn::LayerCall& call) const {
  const at::Tensor hidden_BTH = nn::gather_sequence(hidden_BSH, tp_, call.sequence.tp_sizes);
  const at::Tensor &weight = params[weight_], &bias = param_or_none(params, bias_);
  if (call.logits) return nn::linear_logits(hidden_BTH, weight, bias, softcap_);
  const std::int64_t tokens = hidden_BTH.size(0) * hidden_BTH.size(1);
  const at::Tensor hidden_MH = hidden_BTH.reshape({tokens, hidden_BTH.size(2)});
  const at::Tensor labels_M = call.inputs.labels_BT.reshape({tokens});
  const nn::VocabularyPart part{first_row_, vocab_size_, softcap_};
  if (call.scores) return nn::linear_scores(hidden_MH, weight, bias, labels_M, part, tp_);
  return nn::linear_cross_entropy(hidden_MH, weight, bias, labels_M, part, tp_, call.loss_scale,
                                  {{}, call.label_smoothing});
}

}  // namespace galvatron::models
