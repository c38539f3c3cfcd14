// GPT-2 (Radford et al. 2019): learned positions, layer norm, GELU.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_gpt_layer(const spec::ModelSpec& model, int index,
                                          const nn::LayerPlacement& placement);

}  // namespace galvatron::models
