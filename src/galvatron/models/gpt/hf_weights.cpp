#include "galvatron/models/gpt/hf_weights.h"

#include "galvatron/models/decoder/hf_weights.h"

namespace galvatron::models {
namespace {

const DecoderHfNames& gpt_names() {
  static const DecoderHfNames kNames = {.prefix = "transformer.",
                                        .blocks = "h.",
                                        .modules = {{"tokens", {"wte"}},
                                                    {"positions", {"wpe"}},
                                                    {"attention_norm", {"ln_1"}},
                                                    {"attention.qkv", {"attn.c_attn"}, true},
                                                    {"attention.output", {"attn.c_proj"}, true},
                                                    {"mlp_norm", {"ln_2"}},
                                                    {"mlp.up", {"mlp.c_fc"}, true},
                                                    {"mlp.down", {"mlp.c_proj"}, true},
                                                    {"norm", {"ln_f"}}}};
  return kNames;
}

}  // namespace

std::vector<HfTensor> gpt_hf_tensors(const spec::ModelSpec& model, int layer,
                                     const spec::ParamSpec& param) {
  return decoder_hf_tensors(gpt_names(), model, layer, param);
}

}  // namespace galvatron::models
