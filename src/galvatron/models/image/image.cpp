#include "galvatron/models/image/image.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/parts.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/cross_entropy.h"

namespace galvatron::models {
namespace {

// Under Ulysses the ranks of a group have tokens of the same samples: the first of them counts the
// samples' losses, with its tensor-parallel ranks; the others give zero.
class ImageHead : public nn::Layer {
 public:
  ImageHead(const spec::ModelSpec& model, const spec::LayerSpec& layer,
            const nn::LayerPlacement& placement, Pooling pooling)
      : groups_(placement.groups),
        pooling_(pooling),
        norm_(layer, "norm"),
        weight_(ParamIndex(layer).at("classifier.weight")),
        bias_(ParamIndex(layer).at("classifier.bias")),
        num_classes_(model.image.num_classes),
        first_class_(chunk(num_classes_, groups_.tp.size(), groups_.tp.rank()).begin) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    const at::Tensor pooled_BSH = pooling_ == Pooling::kMean ? mean_token(x[0], params, call)
                                                             : first_token(x[0], params, call);
    if (groups_.ulysses.rank() > 0) return {no_loss(pooled_BSH, call.scores)};
    const at::Tensor& weight = params[weight_];
    const at::Tensor& bias = params[bias_];
    const at::Tensor pooled_BH = pooled_BSH.squeeze(1);
    if (call.logits) return {at::linear(pooled_BH, weight, bias)};
    const at::Tensor& classes = call.inputs.classes_B;
    const nn::VocabularyPart part{first_class_, num_classes_};
    if (call.scores) return {nn::linear_scores(pooled_BH, weight, bias, classes, part, groups_.tp)};
    return {nn::linear_cross_entropy(pooled_BH, weight, bias, classes, part, groups_.tp,
                                     call.loss_scale,
                                     {call.inputs.second_classes_B2, call.label_smoothing})};
  }

 private:
  // [B, 1, H], no tokens on ranks of a later part of the sequence.
  at::Tensor first_token(const at::Tensor& x_BSH, const std::vector<at::Tensor>& params,
                         const nn::LayerCall& call) const {
    const std::int64_t mine = call.sequence.tokens.begin == 0 ? 1 : 0;
    const at::Tensor token = norm_(x_BSH.narrow(1, 0, mine), params);
    if (groups_.ulysses.rank() > 0) return token;
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(groups_.tp.size()), 0);
    sizes[0] = 1;
    return nn::gather_sequence(token, groups_.tp, sizes);
  }

  // [B, 1, H] on every rank.
  at::Tensor mean_token(const at::Tensor& x_BSH, const std::vector<at::Tensor>& params,
                        const nn::LayerCall& call) const {
    const at::Tensor sum = norm_(x_BSH, params).sum(1, /*keepdim=*/true);
    const at::Tensor share = sum.div(static_cast<double>(call.sequence.length));
    return nn::sum_over_group(nn::sum_over_group(share, groups_.tp), groups_.ulysses);
  }

  // Zero with a graph: the backward of the pooling needs every rank.
  static at::Tensor no_loss(const at::Tensor& pooled, bool scores) {
    if (scores) return at::zeros({2}, pooled.options().dtype(at::kDouble));
    const at::ScalarType wide = pooled.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return pooled.narrow(1, 0, 0).sum().to(wide);
  }

  nn::LayerGroups groups_;
  Pooling pooling_;
  NormCall norm_;
  int weight_, bias_;
  std::int64_t num_classes_, first_class_;
};

}  // namespace

PatchProjection::PatchProjection(const spec::LayerSpec& layer)
    : weight_(ParamIndex(layer).at("patches.weight")), bias_(ParamIndex(layer).at("patches.bias")) {
  const std::vector<std::int64_t>& shape = layer.params[static_cast<std::size_t>(weight_)].shape;
  grid_ = {layer.shape.window.height, layer.shape.window.width, shape[2], shape[3]};
}

at::Tensor PatchProjection::operator()(const at::Tensor& images_BCHW,
                                       const std::vector<at::Tensor>& params, Range tokens) const {
  return at::linear(nn::image_patches(images_BCHW, grid_, tokens), params[weight_].flatten(1),
                    params[bias_]);
}

std::unique_ptr<nn::Layer> make_image_head(const spec::ModelSpec& model, int index,
                                           const nn::LayerPlacement& placement, Pooling pooling) {
  return std::make_unique<ImageHead>(model, model.layer(index), placement, pooling);
}

}  // namespace galvatron::models
