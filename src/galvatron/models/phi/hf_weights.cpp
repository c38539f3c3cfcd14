#include "galvatron/models/phi/hf_weights.h"

#include "galvatron/models/decoder/hf_weights.h"

namespace galvatron::models {
namespace {

const DecoderHfNames& phi_names() {
  static const DecoderHfNames kNames = {.prefix = "model.",
                                        .blocks = "layers.",
                                        .modules = {{"tokens", {"embed_tokens"}},
                                                    {"attention_norm", {"input_layernorm"}},
                                                    {"attention.qkv", {"self_attn.qkv_proj"}},
                                                    {"attention.output", {"self_attn.o_proj"}},
                                                    {"mlp_norm", {"post_attention_layernorm"}},
                                                    {"mlp.gate_up", {"mlp.gate_up_proj"}},
                                                    {"mlp.down", {"mlp.down_proj"}},
                                                    {"norm", {"norm"}}}};
  return kNames;
}

}  // namespace

std::vector<HfTensor> phi_hf_tensors(const spec::ModelSpec& model, int layer,
                                     const spec::ParamSpec& param) {
  return decoder_hf_tensors(phi_names(), model, layer, param);
}

}  // namespace galvatron::models
