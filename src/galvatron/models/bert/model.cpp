#include "galvatron/models/bert/model.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/parts.h"

namespace galvatron::models {
namespace {

// Of positions that skip padding: of this rank's tokens [B, S] the rows of their table. Tokens
// before this rank's part of the sequence are counted by those that hold them.
at::Tensor skipping_positions(const nn::LayerCall& call, const comm::Group& ulysses,
                              std::int64_t padding) {
  const at::Tensor counts_BT = call.inputs.tokens_BT.ne(padding).to(at::kLong);
  at::Tensor positions_BT = counts_BT.cumsum(1);
  if (ulysses.size() > 1 && counts_BT.size(0) > 0) {
    const at::Tensor mine_B = counts_BT.sum(1);
    at::Tensor all_RB = at::empty({ulysses.size(), mine_B.size(0)}, mine_B.options());
    ulysses.all_gather(all_RB, mine_B);
    positions_BT = positions_BT + all_RB.narrow(0, 0, ulysses.rank()).sum(0).unsqueeze(1);
  }
  const Range mine = call.sequence.tokens;
  return (positions_BT * counts_BT + padding)
      .narrow(1, mine.begin - call.sequence.block_tokens.begin, mine.size());
}

// Tokens, positions and token types.
class BertEmbedding : public nn::Layer {
 public:
  BertEmbedding(const spec::ModelSpec& model, const spec::LayerSpec& layer,
                const nn::LayerPlacement& placement)
      : groups_(placement.groups),
        norm_(layer, "norm"),
        tokens_(model, layer, placement),
        positions_(ParamIndex(layer).at("positions.weight")),
        token_types_(ParamIndex(layer).find("token_types.weight")),
        padding_token_(model.padding_token),
        positions_skip_padding_(model.positions_skip_padding),
        dropout_(dropout_at(layer, placement, layer.shape.embedding_dropout, "dropout")) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations&,
                          const nn::LayerCall& call) const override {
    at::Tensor sum = tokens_(params, call);
    if (token_types_ >= 0) sum = sum + token_types(params[token_types_], call);
    sum = sum + positions(params[positions_], call);
    return {nn::dropout(norm_(sum, params), dropout_, call)};
  }

 private:
  // [H], the first, or [B, S, H] where the data say them.
  static at::Tensor token_types(const at::Tensor& table, const nn::LayerCall& call) {
    const at::Tensor& types_BL = call.documents.token_types_BL;
    const Range mine = call.sequence.tokens;
    return types_BL.defined() ? at::embedding(table, types_BL.narrow(1, mine.begin, mine.size()))
                              : table.select(0, 0);
  }
  // [S, H], or [B, S, H] where they differ from sample to sample.
  at::Tensor positions(const at::Tensor& table, const nn::LayerCall& call) const {
    if (!positions_skip_padding_) return position_rows(table, call);
    if (call.documents.positions_BL.defined())
      return position_rows(table, call, padding_token_ + 1);
    return at::embedding(table, skipping_positions(call, groups_.ulysses, padding_token_),
                         padding_token_);
  }

  nn::LayerGroups groups_;
  NormCall norm_;
  TokenEmbedding tokens_;
  int positions_, token_types_;
  std::int64_t padding_token_;
  bool positions_skip_padding_;
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
