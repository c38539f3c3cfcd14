#include "galvatron/models/distilbert/hf_weights.h"

#include "galvatron/models/bert/hf_weights.h"

namespace galvatron::models {
namespace {

const EncoderHfNames& distilbert_names() {
  static const EncoderHfNames kNames = {
      .prefix = "distilbert.",
      .blocks = "transformer.layer.",
      .embedding_modules = {{"tokens", {"embeddings.word_embeddings"}},
                            {"positions", {"embeddings.position_embeddings"}},
                            {"norm", {"embeddings.LayerNorm"}}},
      .block_modules = {{"attention.qkv",
                         {"attention.q_lin", "attention.k_lin", "attention.v_lin"}},
                        {"attention.output", {"attention.out_lin"}},
                        {"attention_norm", {"sa_layer_norm"}},
                        {"mlp.up", {"ffn.lin1"}},
                        {"mlp.down", {"ffn.lin2"}},
                        {"mlp_norm", {"output_layer_norm"}}},
      .head = "vocab_",
      .head_modules = {{"transform", {"transform"}},
                       {"norm", {"layer_norm"}},
                       {"output", {"projector"}}},
      .second_bias = ""};
  return kNames;
}

}  // namespace

std::vector<HfTensor> distilbert_hf_tensors(const spec::ModelSpec& model, int layer,
                                            const spec::ParamSpec& param) {
  return encoder_hf_tensors(distilbert_names(), model, layer, param);
}

}  // namespace galvatron::models
