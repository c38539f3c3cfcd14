// The block that all families share, and the head of those that predict tokens from a normed
// stream. A family adds its embedding and its weights.
#pragma once
#include <memory>

#include "galvatron/models/parts.h"
#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// x + attention(norm(x)), then x + mlp(norm(x)); with post_norm norm(x + attention(x)), then norm(x
// + mlp(x)).
std::unique_ptr<nn::Layer> make_transformer_block(const spec::ModelSpec& model, int index,
                                                  const nn::LayerPlacement& placement);

// Final norm, output projection, cross entropy.
std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index,
                                             const nn::LayerPlacement& placement);

}  // namespace galvatron::models
