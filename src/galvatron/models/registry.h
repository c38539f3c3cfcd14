// Model families by name. To add one: a folder beside gpt/, and one line in registry.cpp.
#pragma once
#include <memory>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// Layer `index` of the model, for the ranks of `placement`. REQUIRES: degrees that check_plan
// accepts.
std::unique_ptr<nn::Layer> make_layer(const spec::ModelSpec& model, int index,
                                      const nn::LayerPlacement& placement);

}  // namespace galvatron::models
