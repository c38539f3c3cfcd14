#include "galvatron/models/swin/model.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/image/image.h"
#include "galvatron/models/parts.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/patches.h"

namespace galvatron::models {
namespace {

// Patches and their norm; every rank makes its own tokens from whole images.
class SwinEmbedding : public nn::Layer {
 public:
  SwinEmbedding(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : patches_(layer),
        norm_(layer, "patch_norm"),
        positions_(ParamIndex(layer).find("positions")),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    const Range tokens = call.sequence.tokens;
    at::Tensor x_BSH = norm_(patches_(call.inputs.images_BCHW, params, tokens), params);
    if (positions_ >= 0) {
      x_BSH = x_BSH + params[positions_].narrow(1, tokens.begin, tokens.size());
    }
    return {nn::dropout(x_BSH, dropout_, call)};
  }

 private:
  PatchProjection patches_;
  NormCall norm_;
  int positions_;
  nn::Dropout dropout_;
};

// Two by two tokens become one of twice their width. A token's neighbours may lie on other ranks:
// each gets the whole grid and makes its own part of the next one.
class PatchMerging : public nn::Layer {
 public:
  PatchMerging(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        rows_(layer.shape.window.height),
        columns_(layer.shape.window.width),
        norm_(layer, "merged_norm"),
        reduction_(ParamIndex(layer).at("reduction.weight")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor block_BTC = nn::gather_sequence(x[0], groups_.tp, call.before.tp_sizes);
    const at::Tensor whole_BLC =
        nn::gather_sequence(block_BTC, groups_.ulysses, call.before.ulysses_sizes);
    const at::Tensor merged = nn::merge_patches(whole_BLC, rows_, columns_, call.sequence.tokens);
    return {at::linear(norm_(merged, params), params[reduction_])};
  }

 private:
  nn::LayerGroups groups_;
  std::int64_t rows_, columns_;
  NormCall norm_;
  int reduction_;
};

}  // namespace

std::unique_ptr<nn::Layer> make_swin_layer(const spec::ModelSpec& model, int index,
                                           const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return std::make_unique<SwinEmbedding>(layer, placement);
    case spec::LayerKind::kBlock:
      return make_transformer_block(model, index, placement);
    case spec::LayerKind::kMerge:
      return std::make_unique<PatchMerging>(layer, placement);
    case spec::LayerKind::kHead:
      return make_image_head(model, index, placement, Pooling::kMean);
  }
  return nullptr;
}

}  // namespace galvatron::models
