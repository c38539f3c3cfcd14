#include "galvatron/models/vit/model.h"

#include <algorithm>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/image/image.h"

namespace galvatron::models {
namespace {

// The class token, then the patches; every rank makes its own tokens from whole images.
class VitEmbedding : public nn::Layer {
 public:
  VitEmbedding(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : patches_(layer),
        class_token_(ParamIndex(layer).at("class_token")),
        positions_(ParamIndex(layer).at("positions")),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    const Range tokens = call.sequence.tokens;
    const Range patches{std::max<std::int64_t>(tokens.begin, 1) - 1, tokens.end - 1};
    at::Tensor x_BSH = patches_(call.inputs.images_BCHW, params, patches);
    if (tokens.begin == 0) {
      x_BSH = at::cat({params[class_token_].expand({x_BSH.size(0), 1, x_BSH.size(2)}), x_BSH}, 1);
    }
    const at::Tensor positions_1SH = params[positions_].narrow(1, tokens.begin, tokens.size());
    return {nn::dropout(x_BSH + positions_1SH, dropout_, call)};
  }

 private:
  PatchProjection patches_;
  int class_token_, positions_;
  nn::Dropout dropout_;
};

}  // namespace

std::unique_ptr<nn::Layer> make_vit_layer(const spec::ModelSpec& model, int index,
                                          const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return std::make_unique<VitEmbedding>(layer, placement);
    case spec::LayerKind::kBlock:
      return make_transformer_block(model, index, placement);
    case spec::LayerKind::kHead:
      return make_image_head(model, index, placement, Pooling::kFirstToken);
    case spec::LayerKind::kMerge:
      break;
  }
  return nullptr;
}

}  // namespace galvatron::models
