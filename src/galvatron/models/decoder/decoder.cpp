#include "galvatron/models/decoder/decoder.h"

#include <optional>
#include <string>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/drop_path.h"

namespace galvatron::models {
namespace {

// Tokens and, where the layer has them, learned positions.
class DecoderEmbedding : public nn::Layer {
 public:
  DecoderEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                   const nn::LayerPlacement& placement)
      : tokens_(model, layer, placement),
        positions_(ParamIndex(layer).find("positions.weight")),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    at::Tensor x_BSH = tokens_(params, call);
    if (positions_ >= 0) x_BSH = x_BSH + position_rows(params[positions_], call);
    return {nn::dropout(x_BSH, dropout_, call)};
  }

 private:
  TokenEmbedding tokens_;
  int positions_;
  nn::Dropout dropout_;
};

// The norms of one branch of a block. Each is a norm or nothing.
class BranchNorms {
 public:
  BranchNorms(const spec::LayerSpec& layer, const std::string& branch) {
    using spec::NormPlace;
    const NormPlace place = layer.shape.norm_place;
    const auto make = [&](bool has, const char* name) {
      return has ? std::optional(NormCall(layer, branch + name)) : std::nullopt;
    };
    before_ = make(place == NormPlace::kBefore || place == NormPlace::kAround, "_norm");
    behind_ = place == NormPlace::kAround ? make(true, "_post_norm")
                                          : make(place == NormPlace::kBehind, "_norm");
    of_sum_ = make(place == NormPlace::kBehindSum, "_norm");
  }

  using Params = std::vector<at::Tensor>;
  at::Tensor before(const at::Tensor& x, const Params& params) const {
    return applied(before_, x, params);
  }
  at::Tensor behind(const at::Tensor& x, const Params& params) const {
    return applied(behind_, x, params);
  }
  at::Tensor of_sum(const at::Tensor& x, const Params& params) const {
    return applied(of_sum_, x, params);
  }

 private:
  static at::Tensor applied(const std::optional<NormCall>& norm, const at::Tensor& x,
                            const Params& params) {
    return norm ? (*norm)(x, params) : x;
  }

  std::optional<NormCall> before_, behind_, of_sum_;
};

class TransformerBlock : public nn::Layer {
 public:
  TransformerBlock(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : parallel_(layer.shape.parallel_residual),
        attention_norms_(layer, "attention"),
        mlp_norms_(layer, "mlp"),
        attention_(layer, placement),
        mlp_(layer, placement),
        attention_residual_(dropout_at(
            layer, placement, layer.shape.drops_attention_branch ? layer.shape.residual_dropout : 0,
            "attention.residual.dropout")),
        mlp_residual_(
            dropout_at(layer, placement, layer.shape.residual_dropout, "mlp.residual.dropout")),
        drop_path_(dropout_at(layer, placement, layer.drop_path, "drop_path")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor attended = attention_norms_.behind(
        attention_(attention_norms_.before(x[0], params), params, call), params);
    const at::Tensor branch =
        nn::drop_path(nn::dropout(attended, attention_residual_, call), drop_path_, call);
    const at::Tensor middle = attention_norms_.of_sum(x[0] + branch, params);
    const at::Tensor& mlp_input = parallel_ ? x[0] : middle;
    const at::Tensor processed =
        mlp_norms_.behind(mlp_(mlp_norms_.before(mlp_input, params), params, call), params);
    return {mlp_norms_.of_sum(middle + nn::dropout(processed, mlp_residual_, call), params)};
  }

 private:
  bool parallel_;  // the MLP reads what the attention reads
  BranchNorms attention_norms_, mlp_norms_;
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

std::unique_ptr<nn::Layer> make_decoder_layer(const spec::ModelSpec& model, int index,
                                              const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return std::make_unique<DecoderEmbedding>(model, layer, placement);
    case spec::LayerKind::kBlock:
      return make_transformer_block(model, index, placement);
    case spec::LayerKind::kHead:
      return make_decoder_head(model, index, placement);
    case spec::LayerKind::kMerge:
      break;
  }
  GALV_CHECK(false, model.name, " has no layer ", layer.name);
}

}  // namespace galvatron::models
