#include "galvatron/models/decoder/decoder.h"

#include "galvatron/comm/torch_headers.h"

namespace galvatron::models {
namespace {

class DecoderBlock : public nn::Layer {
 public:
  DecoderBlock(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : attention_norm_(layer, "attention_norm"),
        mlp_norm_(layer, "mlp_norm"),
        attention_(layer, placement),
        mlp_(layer, placement),
        attention_residual_(
            dropout_at(layer, placement, layer.shape.residual_dropout, "attention.residual.dropout")),
        mlp_residual_(dropout_at(layer, placement, layer.shape.residual_dropout, "mlp.residual.dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor attended = attention_(attention_norm_(x[0], params), params, call);
    const at::Tensor middle = x[0] + nn::dropout(attended, attention_residual_, call);
    const at::Tensor processed = mlp_(mlp_norm_(middle, params), params, call);
    return {middle + nn::dropout(processed, mlp_residual_, call)};
  }

 private:
  NormCall attention_norm_, mlp_norm_;
  AttentionCall attention_;
  MlpCall mlp_;
  nn::Dropout attention_residual_, mlp_residual_;
};

class DecoderHead : public nn::Layer {
 public:
  DecoderHead(const spec::ModelSpec& model, const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : norm_(layer, "norm"), output_(model, layer, placement) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    return {output_(norm_(x[0], params), params, call)};
  }

 private:
  NormCall norm_;
  VocabularyOutput output_;
};

}  // namespace

std::unique_ptr<nn::Layer> make_decoder_block(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement) {
  return std::make_unique<DecoderBlock>(model.layers[static_cast<std::size_t>(index)], placement);
}

std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement) {
  return std::make_unique<DecoderHead>(model, model.layers[static_cast<std::size_t>(index)], placement);
}

}  // namespace galvatron::models
