// Swin (Liu et al. 2021): attention in shifted windows, stages of halved grids and doubled widths.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_swin_layer(const spec::ModelSpec& model, int index,
                                           const nn::LayerPlacement& placement);

}  // namespace galvatron::models
