#include "galvatron/models/decoder/decoder.h"

#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/attention.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/cross_entropy.h"
#include "galvatron/nn/dropout.h"
#include "galvatron/nn/mlp.h"
#include "galvatron/nn/norm.h"

namespace galvatron::models {
namespace {

nn::ActivationKind activation_kind(spec::Activation activation) {
  switch (activation) {
    case spec::Activation::kGelu: return nn::ActivationKind::kGelu;
    case spec::Activation::kGeluTanh: return nn::ActivationKind::kGeluTanh;
    case spec::Activation::kRelu: return nn::ActivationKind::kRelu;
    case spec::Activation::kSilu: return nn::ActivationKind::kSilu;
  }
  GALV_CHECK(false, "unknown activation");
}

// A norm whose weights are found by prefix: "attention_norm".
class NormCall {
 public:
  NormCall(const spec::LayerSpec& layer, const std::string& prefix)
      : norm_(layer.shape.norm),
        epsilon_(layer.shape.norm_epsilon),
        weight_(ParamIndex(layer).at(prefix + ".weight")),
        bias_(ParamIndex(layer).find(prefix + ".bias")) {}

  at::Tensor operator()(const at::Tensor& x, const std::vector<at::Tensor>& params) const {
    if (norm_ == spec::Norm::kRmsNorm) return nn::rms_norm(x, params[weight_], epsilon_);
    return nn::layer_norm(x, params[weight_], param_or_none(params, bias_), epsilon_);
  }

 private:
  spec::Norm norm_;
  double epsilon_;
  int weight_;
  int bias_;
};

class DecoderBlock : public nn::Layer {
 public:
  DecoderBlock(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : groups_(placement.groups), attention_norm_(layer, "attention_norm"), mlp_norm_(layer, "mlp_norm") {
    const spec::TransformerShape& shape = layer.shape;
    const ParamIndex index(layer);
    qkv_weight_ = index.at("attention.qkv.weight");
    qkv_bias_ = index.find("attention.qkv.bias");
    output_weight_ = index.at("attention.output.weight");
    output_bias_ = index.find("attention.output.bias");
    query_norm_ = index.find("attention.query_norm.weight");
    key_norm_ = index.find("attention.key_norm.weight");
    const std::string up = shape.gated_mlp ? "mlp.gate_up" : "mlp.up";
    up_weight_ = index.at(up + ".weight");
    up_bias_ = index.find(up + ".bias");
    down_weight_ = index.at("mlp.down.weight");
    down_bias_ = index.find("mlp.down.bias");
    const auto site = [&](double p, const char* name) {
      return nn::Dropout{p, nn::random_key(placement.seed, layer.name + "." + name)};
    };
    attention_ = {.num_heads = shape.num_heads,
                  .num_kv_heads = shape.num_kv_heads,
                  .head_size = shape.head_size,
                  .scale = shape.attention_scale > 0 ? shape.attention_scale
                                                     : 1 / std::sqrt(static_cast<double>(shape.head_size)),
                  .inverse_frequencies = shape.rope.inverse_frequencies,
                  .rotary_scale = shape.rope.scale,
                  .causal = shape.causal,
                  .qk_norm_epsilon = shape.norm_epsilon,
                  .recompute_core = placement.recompute_core,
                  .dropout = site(shape.attention_dropout, "attention.dropout")};
    mlp_ = {.activation = activation_kind(shape.activation), .gated = shape.gated_mlp};
    attention_residual_ = site(shape.residual_dropout, "attention.residual.dropout");
    mlp_residual_ = site(shape.residual_dropout, "mlp.residual.dropout");
  }

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const nn::AttentionParams attention{params[qkv_weight_], param_or_none(params, qkv_bias_), params[output_weight_],
                                        param_or_none(params, output_bias_), param_or_none(params, query_norm_),
                                        param_or_none(params, key_norm_)};
    const nn::MlpParams mlp{params[up_weight_], param_or_none(params, up_bias_), params[down_weight_],
                            param_or_none(params, down_bias_)};
    const at::Tensor attended =
        nn::self_attention(attention_norm_(x[0], params), attention, attention_, groups_, call);
    const at::Tensor middle = x[0] + nn::dropout(attended, attention_residual_, call);
    const at::Tensor processed = nn::mlp(mlp_norm_(middle, params), mlp, mlp_, groups_, call);
    return {middle + nn::dropout(processed, mlp_residual_, call)};
  }

 private:
  nn::LayerGroups groups_;
  NormCall attention_norm_, mlp_norm_;
  int qkv_weight_, qkv_bias_, output_weight_, output_bias_, query_norm_, key_norm_;
  int up_weight_, up_bias_, down_weight_, down_bias_;
  nn::AttentionOptions attention_;
  nn::MlpOptions mlp_;
  nn::Dropout attention_residual_, mlp_residual_;
};

class DecoderHead : public nn::Layer {
 public:
  DecoderHead(const spec::ModelSpec& model, const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        norm_(layer, "norm"),
        output_weight_(ParamIndex(layer).at("output.weight")),
        vocab_size_(model.vocab_size),
        first_row_(first_vocab_row(model, placement.groups.tp)) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor hidden_BTH = nn::gather_sequence(norm_(x[0], params), groups_.tp, call.sequence.tp_sizes);
    const at::Tensor& weight = params[output_weight_];
    if (call.logits) return {at::linear(hidden_BTH, weight)};
    const std::int64_t tokens = hidden_BTH.size(0) * hidden_BTH.size(1);
    const at::Tensor hidden_MH = hidden_BTH.reshape({tokens, hidden_BTH.size(2)});
    return {nn::linear_cross_entropy(hidden_MH, weight, {}, call.inputs.labels_BT.reshape({tokens}), first_row_, vocab_size_,
                                     groups_.tp)};
  }

 private:
  nn::LayerGroups groups_;
  NormCall norm_;
  int output_weight_;
  std::int64_t vocab_size_;
  std::int64_t first_row_;
};

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

std::unique_ptr<nn::Layer> make_decoder_block(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement) {
  return std::make_unique<DecoderBlock>(model.layers[static_cast<std::size_t>(index)], placement);
}

std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement) {
  return std::make_unique<DecoderHead>(model, model.layers[static_cast<std::size_t>(index)], placement);
}

}  // namespace galvatron::models
