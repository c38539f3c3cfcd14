#include "galvatron/models/bert/model.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/parts.h"
#include "galvatron/nn/embedding.h"

namespace galvatron::models {
namespace {

// Tokens, positions and the first token type: every sequence is one segment.
class BertEmbedding : public nn::Layer {
 public:
  BertEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        norm_(layer, "norm"),
        tokens_(ParamIndex(layer).at("tokens.weight")),
        positions_(ParamIndex(layer).at("positions.weight")),
        token_types_(ParamIndex(layer).at("token_types.weight")),
        first_row_(first_vocab_row(model, placement.groups.tp)),
        padding_token_(model.padding_token),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    const at::Tensor tokens_BSH = nn::vocab_parallel_embedding(
        call.inputs.tokens_BT, params[tokens_], first_row_, groups_, call, padding_token_);
    const at::Tensor positions_SH =
        params[positions_].narrow(0, call.sequence.tokens.begin, call.sequence.tokens.size());
    const at::Tensor sum = tokens_BSH + params[token_types_].select(0, 0) + positions_SH;
    return {nn::dropout(norm_(sum, params), dropout_, call)};
  }

 private:
  nn::LayerGroups groups_;
  NormCall norm_;
  int tokens_, positions_, token_types_;
  std::int64_t first_row_, padding_token_;
  nn::Dropout dropout_;
};

// A transform of this rank's own tokens, then the vocabulary.
class BertHead : public nn::Layer {
 public:
  BertHead(const spec::ModelSpec& model, const spec::LayerSpec& layer,
           const nn::LayerPlacement& placement)
      : norm_(layer, "norm"),
        output_(model, layer, placement),
        activation_(activation_kind(layer.shape.activation)),
        transform_weight_(ParamIndex(layer).at("transform.weight")),
        transform_bias_(ParamIndex(layer).at("transform.bias")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor rows = at::linear(x[0], params[transform_weight_], params[transform_bias_]);
    return {output_(norm_(nn::activate(rows, activation_), params), params, call)};
  }

 private:
  NormCall norm_;
  VocabularyOutput output_;
  nn::ActivationKind activation_;
  int transform_weight_, transform_bias_;
};

}  // namespace

std::unique_ptr<nn::Layer> make_bert_layer(const spec::ModelSpec& model, int index,
                                           const nn::LayerPlacement& placement) {
  const spec::LayerSpec& layer = model.layer(index);
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      return std::make_unique<BertEmbedding>(model, layer, placement);
    case spec::LayerKind::kBlock:
      return make_transformer_block(model, index, placement);
    case spec::LayerKind::kHead:
      return std::make_unique<BertHead>(model, layer, placement);
    case spec::LayerKind::kMerge:
      break;
  }
  GALV_CHECK(false, "BERT has no layer ", layer.name);
}

}  // namespace galvatron::models
