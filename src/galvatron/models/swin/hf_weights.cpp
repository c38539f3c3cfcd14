#include "galvatron/models/swin/hf_weights.h"

namespace galvatron::models {
namespace {

const std::vector<HfModule>& swin_modules() {
  static const std::vector<HfModule> kModules = {
      {"patches", {"embeddings.patch_embeddings.projection"}},
      {"patch_norm", {"embeddings.norm"}},
      {"positions", {"embeddings.position_embeddings"}},
      {"attention_norm", {"layernorm_before"}},
      {"attention.qkv", {"attention.self.query", "attention.self.key", "attention.self.value"}},
      {"attention.window_bias", {"attention.self.relative_position_bias_table"}},
      {"attention.output", {"attention.output.dense"}},
      {"mlp_norm", {"layernorm_after"}},
      {"mlp.up", {"intermediate.dense"}},
      {"mlp.down", {"output.dense"}},
      {"merged_norm", {"norm"}},
      {"reduction", {"reduction"}},
      {"norm", {"layernorm"}},
      {"classifier", {"classifier"}}};
  return kModules;
}

// Where a layer's modules lie: "encoder.layers.2.blocks.3.", "encoder.layers.2.downsample." or at
// the top.
std::string path_of(const spec::ModelSpec& model, int layer) {
  const auto kind = [&](int i) { return model.layer(i).kind; };
  int stage = 0, block = 0;
  for (int i = 0; i < layer; ++i) {
    if (kind(i) == spec::LayerKind::kBlock) ++block;
    if (kind(i) != spec::LayerKind::kMerge) continue;
    ++stage;
    block = 0;
  }
  const std::string path = "encoder.layers." + std::to_string(stage) + ".";
  if (kind(layer) == spec::LayerKind::kBlock) return path + "blocks." + std::to_string(block) + ".";
  return kind(layer) == spec::LayerKind::kMerge ? path + "downsample." : "";
}

}  // namespace

std::vector<HfTensor> swin_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param) {
  const std::string prefix = param.name.starts_with("classifier.") ? "" : "swin.";
  return hf_tensors_of(param, swin_modules(), {prefix, path_of(model, layer)});
}

}  // namespace galvatron::models
