#include "galvatron/models/neox/hf_weights.h"

#include "galvatron/models/decoder/hf_weights.h"

namespace galvatron::models {
namespace {

const DecoderHfNames& neox_names() {
  static const DecoderHfNames kNames = {.prefix = "gpt_neox.",
                                        .blocks = "layers.",
                                        .modules = {{"tokens", {"embed_in"}},
                                                    {"attention_norm", {"input_layernorm"}},
                                                    {.ours = "attention.qkv",
                                                     .theirs = {"attention.query_key_value"},
                                                     .interleaved = true},
                                                    {"attention.output", {"attention.dense"}},
                                                    {"mlp_norm", {"post_attention_layernorm"}},
                                                    {"mlp.up", {"mlp.dense_h_to_4h"}},
                                                    {"mlp.down", {"mlp.dense_4h_to_h"}},
                                                    {"norm", {"final_layer_norm"}}},
                                        .output = {"embed_out.weight", "lm_head.weight"}};
  return kNames;
}

}  // namespace

std::vector<HfTensor> neox_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param) {
  return decoder_hf_tensors(neox_names(), model, layer, param);
}

}  // namespace galvatron::models
