#include "galvatron/models/t5/hf_weights.h"

#include "galvatron/base/error.h"

namespace galvatron::models {
namespace {

using Modules = std::vector<HfModule>;

// The feed-forward part comes last: second in an encoder block, third in a decoder block.
Modules mlp_modules(const std::string& part) {
  const std::string mlp = part + ".DenseReluDense.";
  return {{"mlp_norm", {part + ".layer_norm"}},
          {"mlp.up", {mlp + "wi"}},
          {"mlp.gate_up", {mlp + "wi_0", mlp + "wi_1"}},
          {"mlp.down", {mlp + "wo"}}};
}

Modules block_modules(bool decoder) {
  const std::string self = "layer.0.SelfAttention.", cross = "layer.1.EncDecAttention.";
  Modules modules = {{"attention_norm", {"layer.0.layer_norm"}},
                     {"attention.qkv", {self + "q", self + "k", self + "v"}},
                     {"attention.output", {self + "o"}},
                     {"attention.relative_bias", {self + "relative_attention_bias"}},
                     {"cross_attention_norm", {"layer.1.layer_norm"}},
                     {"cross_attention.query", {cross + "q"}},
                     {"cross_attention.key_value", {cross + "k", cross + "v"}},
                     {"cross_attention.output", {cross + "o"}}};
  for (HfModule& module : mlp_modules(decoder ? "layer.2" : "layer.1"))
    modules.push_back(std::move(module));
  return modules;
}

HfTensor whole(const spec::ParamSpec& param, std::vector<std::string> names) {
  return {std::move(names), param.shape, {0, param.shape[0]}, false};
}

// One parameter under up to four names; transformers writes the first.
HfTensor tokens(const spec::ModelSpec& model, const spec::ParamSpec& param) {
  HfTensor tensor =
      whole(param, {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"});
  if (model.tied_embeddings) tensor.names.emplace_back("lm_head.weight");
  return tensor;
}

// The relative bias of all blocks of a stack lies in its first.
std::vector<HfTensor> block_tensors(const spec::LayerSpec& layer, const spec::ParamSpec& param) {
  const bool decoder = layer.shape.cross_attention;
  const std::string number =
      param.tied_name.empty() ? layer.name.substr(layer.name.rfind('.') + 1) : "0";
  const std::string path = std::string(decoder ? "decoder" : "encoder") + ".block." + number + ".";
  return hf_tensors_of(param, block_modules(decoder), {"", path});
}

}  // namespace

std::vector<HfTensor> t5_hf_tensors(const spec::ModelSpec& model, int layer,
                                    const spec::ParamSpec& param) {
  const spec::LayerSpec& spec = model.layer(layer);
  if (spec.kind == spec::LayerKind::kBlock) return block_tensors(spec, param);
  if (param.tied_name == "tokens.weight") return {tokens(model, param)};
  if (param.name == "output.weight") return {whole(param, {"lm_head.weight"})};
  if (param.name == "encoder_norm.weight")
    return {whole(param, {"encoder.final_layer_norm.weight"})};
  if (param.name == "norm.weight") return {whole(param, {"decoder.final_layer_norm.weight"})};
  GALV_CHECK(false, "no Hugging Face name for ", param.name);
}

}  // namespace galvatron::models
