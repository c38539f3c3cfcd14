#include "galvatron/models/llama/model.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/nn/embedding.h"

namespace galvatron::models {
namespace {

class TokenEmbedding : public nn::Layer {
 public:
  TokenEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                 const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        tokens_(ParamIndex(layer).at("tokens.weight")),
        first_row_(first_vocab_row(model, placement.groups.tp)),
        padding_token_(model.padding_token) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    return {nn::vocab_parallel_embedding(call.inputs.tokens_BT, params[tokens_], first_row_,
                                         groups_, call, padding_token_)};
  }

 private:
  nn::LayerGroups groups_;
  int tokens_;
  std::int64_t first_row_;
  std::int64_t padding_token_;
};

}  // namespace

std::unique_ptr<nn::Layer> make_llama_layer(const spec::ModelSpec& model, int index,
                                            const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return std::make_unique<TokenEmbedding>(model, layer, placement);
    case spec::LayerKind::kBlock:
      return make_transformer_block(model, index, placement);
    case spec::LayerKind::kHead:
      return make_decoder_head(model, index, placement);
    case spec::LayerKind::kMerge:
      break;
  }
  return nullptr;
}

}  // namespace galvatron::models
