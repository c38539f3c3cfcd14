#include "galvatron/models/t5/model.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/parts.h"
#include "galvatron/nn/cross_attention.h"

namespace galvatron::models {
namespace {

// Tokens of one stack, without positions: those are in the attention.
class T5Tokens {
 public:
  T5Tokens(const spec::ModelSpec& model, const spec::LayerSpec& layer,
           const nn::LayerPlacement& placement)
      : tokens_(model, layer, placement),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  at::Tensor operator()(const std::vector<at::Tensor>& params, const nn::LayerCall& call) const {
    return nn::dropout(tokens_(params, call), dropout_, call);
  }

 private:
  TokenEmbedding tokens_;
  nn::Dropout dropout_;
};

class EncoderEmbedding : public nn::Layer {
 public:
  EncoderEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                   const nn::LayerPlacement& placement)
      : tokens_(model, layer, placement) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    return {tokens_(params, call)};
  }

 private:
  T5Tokens tokens_;
};

// Encoder stream in; decoder and encoder stream out. The encoder ends here with its norm.
class DecoderEmbedding : public nn::Layer {
 public:
  DecoderEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                   const nn::LayerPlacement& placement)
      : tokens_(model, layer, placement),
        encoder_norm_(layer, "encoder_norm"),
        encoder_dropout_(
            dropout_at(layer, placement, layer.shape.embedding_dropout, "encoder.dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor encoded =
        nn::dropout(encoder_norm_(x[0], params), encoder_dropout_, call, call.context);
    return {tokens_(params, call), encoded};
  }

 private:
  T5Tokens tokens_;
  NormCall encoder_norm_;
  nn::Dropout encoder_dropout_;
};

// Cross-attention over the parameters "cross_attention.*".
class CrossAttentionCall {
 public:
  CrossAttentionCall(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        query_weight_(ParamIndex(layer).at("cross_attention.query.weight")),
        key_value_weight_(ParamIndex(layer).at("cross_attention.key_value.weight")),
        output_weight_(ParamIndex(layer).at("cross_attention.output.weight")) {
    const spec::TransformerShape& shape = layer.shape;
    options_ = {
        .num_heads = shape.num_heads,
        .head_size = shape.head_size,
        .scale = attention_scale(shape),
        .recompute_core = placement.recompute_core,
        .dropout = dropout_at(layer, placement, shape.attention_dropout, "cross_attention.dropout"),
        .linears = placement.linears};
  }

  at::Tensor operator()(const at::Tensor& x_BSH, const at::Tensor& context_BCH,
                        const std::vector<at::Tensor>& params, const nn::LayerCall& call) const {
    return nn::cross_attention(
        x_BSH, context_BCH,
        {params[query_weight_], params[key_value_weight_], params[output_weight_]}, options_,
        groups_, call);
  }

 private:
  nn::LayerGroups groups_;
  nn::CrossAttentionOptions options_;
  int query_weight_, key_value_weight_, output_weight_;
};

// x + attention(norm(x)), x + cross_attention(norm(x), encoder), x + mlp(norm(x)); the encoder
// stream goes on as it is.
class T5DecoderBlock : public nn::Layer {
 public:
  T5DecoderBlock(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : attention_norm_(layer, "attention_norm"),
        cross_norm_(layer, "cross_attention_norm"),
        mlp_norm_(layer, "mlp_norm"),
        attention_(layer, placement),
        cross_attention_(layer, placement),
        mlp_(layer, placement),
        attention_residual_(dropout_at(layer, placement, layer.shape.residual_dropout,
                                       "attention.residual.dropout")),
        cross_residual_(dropout_at(layer, placement, layer.shape.residual_dropout,
                                   "cross_attention.residual.dropout")),
        mlp_residual_(
            dropout_at(layer, placement, layer.shape.residual_dropout, "mlp.residual.dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor attended = attention_(attention_norm_(x[0], params), params, call);
    const at::Tensor asking = x[0] + nn::dropout(attended, attention_residual_, call);
    const at::Tensor answered = cross_attention_(cross_norm_(asking, params), x[1], params, call);
    const at::Tensor middle = asking + nn::dropout(answered, cross_residual_, call);
    const at::Tensor processed = mlp_(mlp_norm_(middle, params), params, call);
    return {middle + nn::dropout(processed, mlp_residual_, call), x[1]};
  }

 private:
  NormCall attention_norm_, cross_norm_, mlp_norm_;
  AttentionCall attention_;
  CrossAttentionCall cross_attention_;
  MlpCall mlp_;
  nn::Dropout attention_residual_, cross_residual_, mlp_residual_;
};

class T5Head : public nn::Layer {
 public:
  T5Head(const spec::ModelSpec& model, const spec::LayerSpec& layer,
         const nn::LayerPlacement& placement)
      : norm_(layer, "norm"),
        output_(model, layer, placement),
        scale_(model.output_scale),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor hidden = nn::dropout(norm_(x[0], params), dropout_, call);
    return {output_(scale_ == 1 ? hidden : hidden * scale_, params, call)};
  }

 private:
  NormCall norm_;
  VocabularyOutput output_;
  double scale_;
  nn::Dropout dropout_;
};

std::unique_ptr<nn::Layer> make_embedding(const spec::ModelSpec& model,
                                          const spec::LayerSpec& layer,
                                          const nn::LayerPlacement& placement) {
  if (layer.outputs.size() > 1) return std::make_unique<DecoderEmbedding>(model, layer, placement);
  return std::make_unique<EncoderEmbedding>(model, layer, placement);
}

}  // namespace

std::unique_ptr<nn::Layer> make_t5_layer(const spec::ModelSpec& model, int index,
                                         const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return make_embedding(model, layer, placement);
    case spec::LayerKind::kBlock:
      if (!layer.shape.cross_attention) return make_transformer_block(model, index, placement);
      return std::make_unique<T5DecoderBlock>(layer, placement);
    case spec::LayerKind::kHead:
      return std::make_unique<T5Head>(model, layer, placement);
    case spec::LayerKind::kMerge:
      break;
  }
  GALV_CHECK(false, "T5 has no layer ", layer.name);
}

}  // namespace galvatron::models
