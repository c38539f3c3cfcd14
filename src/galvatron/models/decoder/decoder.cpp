#include "galvatron/models/decoder/decoder.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/drop_path.h"

namespace galvatron::models {
namespace {

class TransformerBlock : public nn::Layer {
 public:
  TransformerBlock(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : post_norm_(layer.shape.post_norm),
        attention_norm_(layer, "attention_norm"),
        mlp_norm_(layer, "mlp_norm"),
        attention_(layer, placement),
        mlp_(layer, placement),
        attention_residual_(dropout_at(layer, placement, layer.shape.residual_dropout,
                                       "attention.residual.dropout")),
        mlp_residual_(
            dropout_at(layer, placement, layer.shape.residual_dropout, "mlp.residual.dropout")),
        drop_path_(dropout_at(layer, placement, layer.drop_path, "drop_path")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const auto before = [&](const NormCall& norm, const at::Tensor& t) {
      return post_norm_ ? t : norm(t, params);
    };
    const auto behind = [&](const NormCall& norm, const at::Tensor& t) {
      return post_norm_ ? norm(t, params) : t;
    };
    const at::Tensor attended = attention_(before(attention_norm_, x[0]), params, call);
    const at::Tensor branch =
        nn::drop_path(nn::dropout(attended, attention_residual_, call), drop_path_, call);
    const at::Tensor middle = behind(attention_norm_, x[0] + branch);
    const at::Tensor processed = mlp_(before(mlp_norm_, middle), params, call);
    return {behind(mlp_norm_, middle + nn::dropout(processed, mlp_residual_, call))};
  }

 private:
  bool post_norm_;
  NormCall attention_norm_, mlp_norm_;
  AttentionCall attention_;
  MlpCall mlp_;
  nn::Dropout attention_residual_, mlp_residual_;
  nn::Dropout drop_path_;  // of the attention alone, as transformers' Swin
};

class DecoderHead : public nn::Layer {
 public:
  DecoderHead(const spec::ModelSpec& model, const spec::LayerSpec& layer,
              const nn::LayerPlacement& placement)
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

std::unique_ptr<nn::Layer> make_transformer_block(const spec::ModelSpec& model, int index,
                                                  const nn::LayerPlacement& placement) {
  return std::make_unique<TransformerBlock>(model.layer(index), placement);
}

std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index,
                                             const nn::LayerPlacement& placement) {
  return std::make_unique<DecoderHead>(model, model.layer(index), placement);
}

}  // namespace galvatron::models
