// What the configs of the image families have in common: image, patches, labels.
#pragma once
#include <cstdint>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/spec/layer_maker.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

struct ImageConfig {
  ImageSpec image;
  std::int64_t patch_height = 0, patch_width = 0;
};

// image_size and patch_size are one number or [height, width]; absent keys take the given defaults.
// ConfigError for sizes that no image has, for patches larger than the image, and for what is no
// classification into at least two classes.
ImageConfig read_image_config(JsonReader& reader, std::int64_t image_size, std::int64_t patch_size);

// Into `shape`: what blocks of both families are told by the same keys. `norm_epsilon`: where the
// config says none.
void read_image_block(JsonReader& reader, double norm_epsilon, TransformerShape& shape);

// "patches": every patch of a [B, C, height, width] image becomes a token of the maker's hidden
// size. Stored as the convolution that it is: [hidden, C, patch_height, patch_width].
void add_patch_projection(LayerMaker& maker, const ImageConfig& config, double stddev);

// Norm, classifier with a bias, and what the layer takes.
LayerSpec image_head(const ImageConfig& config, const TransformerShape& shape, double stddev);

// The whole as a ModelSpec of images that are `length` tokens.
ModelSpec image_model(Family family, const ImageConfig& config, std::int64_t length,
                      std::vector<LayerSpec> layers);

}  // namespace galvatron::spec
