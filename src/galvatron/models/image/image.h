// What the image families share: the projection of patches, and the head that tells classes.
#pragma once
#include <memory>
#include <vector>

#include "galvatron/nn/layer.h"
#include "galvatron/nn/patches.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// Patches of an image, each a token: the parameters "patches.*".
class PatchProjection {
 public:
  explicit PatchProjection(const spec::LayerSpec& layer);
  // Patches `tokens` of whole images: [B, tokens, H].
  at::Tensor operator()(const at::Tensor& images_BCHW, const std::vector<at::Tensor>& params,
                        Range tokens) const;

 private:
  nn::PatchGrid grid_;
  int weight_, bias_;
};

// What of its tokens stands for an image.
enum class Pooling { kFirstToken, kMean };

// Final norm, pooling, classifier, cross entropy over the classes.
std::unique_ptr<nn::Layer> make_image_head(const spec::ModelSpec& model, int index,
                                           const nn::LayerPlacement& placement, Pooling pooling);

}  // namespace galvatron::models
