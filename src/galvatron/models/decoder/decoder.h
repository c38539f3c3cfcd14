// What the decoder-only families share: the pre-norm block and the head. A family adds its embedding and its weights.
#pragma once
#include <memory>

#include "galvatron/models/parts.h"
#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// x + attention(norm(x)), then x + mlp(norm(x)).
std::unique_ptr<nn::Layer> make_decoder_block(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement);

// Final norm, output projection, cross entropy.
std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement);

}  // namespace galvatron::models
