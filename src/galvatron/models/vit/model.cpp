#include "galvatron/models/vit/model.h"

#include <algorithm>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/image/image.h"

namespace galvatron::models {
namespace {

// The class token, in DeiT one more, then the patches; every rank makes its own tokens from whole
// images.
class VitEmbedding : public nn::Layer {
 public:
  VitEmbedding(const spec::LayerSpec& layer, const nn::LayerPlacement& placement)
      : patches_(layer),
        positions_(ParamIndex(layer).at("positions")),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {
    for (const char* name : {"class_token", "distillation_token"}) {
      if (const int index = ParamIndex(layer).find(name); index >= 0)
        first_tokens_.push_back(index);
    }
  }

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    const Range tokens = call.sequence.tokens;
    const auto num_first = static_cast<std::int64_t>(first_tokens_.size());
    const Range patches{std::max(tokens.begin, num_first) - num_first,
                        std::max(tokens.end, num_first) - num_first};
    std::vector<at::Tensor> parts;
    for (std::int64_t i = tokens.begin; i < std::min(tokens.end, num_first); ++i) {
      const at::Tensor& token = params[first_tokens_[static_cast<std::size_t>(i)]];
      parts.push_back(token.expand({call.num_samples, 1, token.size(2)}));
    }
    parts.push_back(patches_(call.inputs.images_BCHW, params, patches));
    const at::Tensor x_BSH = parts.size() == 1 ? parts[0] : at::cat(parts, 1);
    const at::Tensor positions_1SH = params[positions_].narrow(1, tokens.begin, tokens.size());
    return {nn::dropout(x_BSH + positions_1SH, dropout_, call)};
  }

 private:
  PatchProjection patches_;
  int positions_;
  std::vector<int> first_tokens_;
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
