// BERT (Devlin et al. 2018): bidirectional attention, norms behind the residual sums, masked-token
// head.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_bert_layer(const spec::ModelSpec& model, int index,
                                           const nn::LayerPlacement& placement);

}  // namespace galvatron::models
