#include "galvatron/models/olmo/hf_weights.h"

#include "galvatron/models/decoder/hf_weights.h"

namespace galvatron::models {
namespace {

const DecoderHfNames& olmo_names() {
  static const DecoderHfNames kNames = {
      .prefix = "model.",
      .blocks = "layers.",
      .modules = {{"tokens", {"embed_tokens"}},
                  {"attention.qkv", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
                  {"attention.query_norm", {"self_attn.q_norm"}},
                  {"attention.key_norm", {"self_attn.k_norm"}},
                  {"attention.output", {"self_attn.o_proj"}},
                  {"attention_norm", {"post_attention_layernorm"}},
                  {"mlp.gate_up", {"mlp.gate_proj", "mlp.up_proj"}},
                  {"mlp.down", {"mlp.down_proj"}},
                  {"mlp_norm", {"post_feedforward_layernorm"}},
                  {"norm", {"norm"}}}};
  return kNames;
}

}  // namespace

std::vector<HfTensor> olmo_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param) {
  return decoder_hf_tensors(olmo_names(), model, layer, param);
}

}  // namespace galvatron::models
