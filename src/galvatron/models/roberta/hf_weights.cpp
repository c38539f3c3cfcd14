#include "galvatron/models/roberta/hf_weights.h"

#include "galvatron/models/bert/hf_weights.h"

namespace galvatron::models {
namespace {

const EncoderHfNames& roberta_names() {
  static const EncoderHfNames kNames = {
      .prefix = "roberta.",
      .blocks = "encoder.layer.",
      .embedding_modules = {{"tokens", {"embeddings.word_embeddings"}},
                            {"positions", {"embeddings.position_embeddings"}},
                            {"token_types", {"embeddings.token_type_embeddings"}},
                            {"norm", {"embeddings.LayerNorm"}}},
      .block_modules = {{"attention.qkv",
                         {"attention.self.query", "attention.self.key", "attention.self.value"}},
                        {"attention.output", {"attention.output.dense"}},
                        {"attention_norm", {"attention.output.LayerNorm"}},
                        {"mlp.up", {"intermediate.dense"}},
                        {"mlp.down", {"output.dense"}},
                        {"mlp_norm", {"output.LayerNorm"}}},
      .head = "lm_head.",
      .head_modules = {{"transform", {"dense"}}, {"norm", {"layer_norm"}}, {"output", {"decoder"}}},
      .second_bias = "bias"};
  return kNames;
}

}  // namespace

std::vector<HfTensor> roberta_hf_tensors(const spec::ModelSpec& model, int layer,
                                         const spec::ParamSpec& param) {
  return encoder_hf_tensors(roberta_names(), model, layer, param);
}

}  // namespace galvatron::models
