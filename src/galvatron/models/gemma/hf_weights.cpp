#include "galvatron/models/gemma/hf_weights.h"

#include "galvatron/models/decoder/hf_weights.h"
#include "galvatron/models/llama/hf_weights.h"

namespace galvatron::models {
namespace {

const DecoderHfNames& second_names() {
  static const DecoderHfNames kNames = {
      .prefix = "model.",
      .blocks = "layers.",
      .modules = {{"tokens", {"embed_tokens"}},
                  {"attention_norm", {"input_layernorm"}},
                  {"attention.qkv", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
                  {"attention.query_norm", {"self_attn.q_norm"}},
                  {"attention.key_norm", {"self_attn.k_norm"}},
                  {"attention.output", {"self_attn.o_proj"}},
                  {"attention_post_norm", {"post_attention_layernorm"}},
                  {"mlp_norm", {"pre_feedforward_layernorm"}},
                  {"mlp.gate_up", {"mlp.gate_proj", "mlp.up_proj"}},
                  {"mlp.down", {"mlp.down_proj"}},
                  {"mlp_post_norm", {"post_feedforward_layernorm"}},
                  {"norm", {"norm"}}}};
  return kNames;
}

}  // namespace

std::vector<HfTensor> gemma_hf_tensors(const spec::ModelSpec& model, int layer,
                                       const spec::ParamSpec& param) {
  // The first Gemma has LLaMA's names; the norms around came with the second.
  if (model.first_block().shape.norm_place == spec::NormPlace::kBefore)
    return llama_hf_tensors(model, layer, param);
  return decoder_hf_tensors(second_names(), model, layer, param);
}

}  // namespace galvatron::models
