#include "galvatron/models/gpt/model.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/dropout.h"
#include "galvatron/nn/embedding.h"

namespace galvatron::models {
namespace {

// Token plus position embedding.
class GptEmbedding : public nn::Layer {
 public:
  GptEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
               const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        tokens_(ParamIndex(layer).at("tokens.weight")),
        positions_(ParamIndex(layer).at("positions.weight")),
        first_row_(first_vocab_row(model, placement.groups.tp)),
        dropout_{layer.shape.embedding_dropout,
                 nn::random_key(placement.seed, layer.name + ".dropout")} {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    const at::Tensor tokens_BSH = nn::vocab_parallel_embedding(
        call.inputs.tokens_BT, params[tokens_], first_row_, groups_, call);
    const at::Tensor positions_SH =
        params[positions_].narrow(0, call.sequence.tokens.begin, call.sequence.tokens.size());
    return {nn::dropout(tokens_BSH + positions_SH, dropout_, call)};
  }

 private:
  nn::LayerGroups groups_;
  int tokens_;
  int positions_;
  std::int64_t first_row_;
  nn::Dropout dropout_;
};

}  // namespace

std::unique_ptr<nn::Layer> make_gpt_layer(const spec::ModelSpec& model, int index,
                                          const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return std::make_unique<GptEmbedding>(model, layer, placement);
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
