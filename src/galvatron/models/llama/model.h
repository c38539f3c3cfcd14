// LLaMA and its kin (Touvron et al. 2023; Qwen2, Mistral): rotary positions, RMS norm, gated MLP,
// grouped-query attention.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_llama_layer(const spec::ModelSpec& model, int index,
                                            const nn::LayerPlacement& placement);

}  // namespace galvatron::models
