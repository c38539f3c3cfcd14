// ViT (Dosovitskiy et al. 2020): patches as tokens, a class token before them, a plain encoder.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_vit_layer(const spec::ModelSpec& model, int index,
                                          const nn::LayerPlacement& placement);

}  // namespace galvatron::models
