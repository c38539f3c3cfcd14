// T5 (Raffel et al. 2020): an encoder and a decoder that attends to it, relative position bias, RMS
// norms.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_t5_layer(const spec::ModelSpec& model, int index,
                                         const nn::LayerPlacement& placement);

}  // namespace galvatron::models
