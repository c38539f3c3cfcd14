#include "galvatron/models/decoder/hf_weights.h"

namespace galvatron::models {

std::vector<HfTensor> decoder_hf_tensors(const DecoderHfNames& names, const spec::ModelSpec& model,
                                         int layer, const spec::ParamSpec& param) {
  const spec::LayerSpec& spec = model.layer(layer);
  const bool is_block = spec.kind == spec::LayerKind::kBlock;
  if (!param.tied_name.empty()) {
    spec::ParamSpec tokens = param;
    tokens.name = param.tied_name;
    std::vector<HfTensor> tensors = hf_tensors_of(tokens, names.modules, {names.prefix, ""});
    tensors[0].names.insert(tensors[0].names.end(), names.output.begin(), names.output.end());
    return tensors;
  }
  if (spec.kind == spec::LayerKind::kHead && param.name == "output.weight") {
    return {{names.output, param.shape, {0, param.shape[0]}}};
  }
  const std::string path = is_block ? names.blocks + std::to_string(layer - 1) + "." : "";
  return hf_tensors_of(param, names.modules, {names.prefix, path});
}

}  // namespace galvatron::models
