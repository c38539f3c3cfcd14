// The block that all families share, and all layers of the decoder-only ones: what differs between
// those is in their layers' shapes. Such a family adds its config and its weights' names.
#pragma once
#include <memory>

#include "galvatron/models/parts.h"
#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// Attention and MLP, each with its norms where the shape says (spec::NormPlace), added one after
// the other or both to the same x.
std::unique_ptr<nn::Layer> make_transformer_block(const spec::ModelSpec& model, int index,
                                                  const nn::LayerPlacement& placement);

// Final norm, output projection, cross entropy.
std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index,
                                             const nn::LayerPlacement& placement);

// Embedding (with learned positions where the layer has them), block or head.
std::unique_ptr<nn::Layer> make_decoder_layer(const spec::ModelSpec& model, int index,
                                              const nn::LayerPlacement& placement);

}  // namespace galvatron::models
