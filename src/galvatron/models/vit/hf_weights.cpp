#include "galvatron/models/vit/hf_weights.h"

namespace galvatron::models {
namespace {

const std::vector<HfModule>& vit_modules() {
  static const std::vector<HfModule> kModules = {
      {"patches", {"embeddings.patch_embeddings.projection"}},
      {"class_token", {"embeddings.cls_token"}},
      {"distillation_token", {"embeddings.distillation_token"}},
      {"positions", {"embeddings.position_embeddings"}},
      {"attention_norm", {"layernorm_before"}},
      {"attention.qkv",
       {"attention.attention.query", "attention.attention.key", "attention.attention.value"}},
      {"attention.output", {"attention.output.dense"}},
      {"mlp_norm", {"layernorm_after"}},
      {"mlp.up", {"intermediate.dense"}},
      {"mlp.down", {"output.dense"}},
      {"norm", {"layernorm"}},
      {"classifier", {"classifier"}}};
  return kModules;
}

std::vector<HfTensor> patch_hf_tensors(const std::string& backbone, const spec::ModelSpec& model,
                                       int layer, const spec::ParamSpec& param) {
  const bool is_block = model.layer(layer).kind == spec::LayerKind::kBlock;
  const std::string prefix = param.name.starts_with("classifier.") ? "" : backbone;
  const std::string path =
      is_block ? "encoder.layer." + std::to_string(layer - 1) + "." : std::string();
  return hf_tensors_of(param, vit_modules(), {prefix, path});
}

}  // namespace

std::vector<HfTensor> vit_hf_tensors(const spec::ModelSpec& model, int layer,
                                     const spec::ParamSpec& param) {
  return patch_hf_tensors("vit.", model, layer, param);
}

std::vector<HfTensor> deit_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param) {
  std::vector<HfTensor> tensors = patch_hf_tensors("deit.", model, layer, param);
  // Of checkpoints with a teacher the head of the class token.
  if (param.name.starts_with("classifier."))
    tensors[0].names.push_back("cls_" + tensors[0].names[0]);
  return tensors;
}

}  // namespace galvatron::models
