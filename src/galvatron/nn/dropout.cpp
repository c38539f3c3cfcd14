#include "galvatron/nn/dropout.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/counter_random.h"

namespace galvatron::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x times 1 / (1 - p), where it is kept.
at::Tensor dropped(const at::Tensor& x_BTF, const DropPlaces& places, const Dropout& options) {
  const double scale = 1 / (1 - options.p);
  if (!x_BTF.is_cpu())
    return at::native_dropout_backward(x_BTF, sample_masks(x_BTF, places, options), scale);
  const std::int64_t all = places.num_features, per_sample = places.length * all;
  const Places elements{
      places.first_sample * per_sample + places.first_token * all + places.first_feature,
      {0, per_sample, all}};
  return kept_and_scaled(x_BTF.unsqueeze(0), elements, options.key, options.p, scale).squeeze(0);
}

// Keeps nothing: its backward makes the mask again.
struct DropElements : torch::autograd::Function<DropElements> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const DropPlaces& places,
                            const Dropout& options) {
    ctx->saved_data["places"] = std::vector<std::int64_t>{
        places.first_sample,  places.first_token,  places.length,
        places.first_feature, places.num_features, as_signed(options.key)};
    ctx->saved_data["p"] = options.p;
    return dropped(x, places, options);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const std::vector<std::int64_t> saved = ctx->saved_data["places"].toIntVector();
    const DropPlaces places{saved[0], saved[1], saved[2], saved[3], saved[4]};
    const Dropout options{ctx->saved_data["p"].toDouble(), static_cast<std::uint64_t>(saved[5])};
    return {dropped(grads[0], places, options), {}, {}};
  }
  static std::int64_t as_signed(std::uint64_t key) { return static_cast<std::int64_t>(key); }
};

at::Tensor drop_elements(const at::Tensor& x, const DropPlaces& places, const Dropout& options,
                         const LayerCall& call) {
  if (!options.active(call) || x.numel() == 0) return x;
  return DropElements::apply(x, places, options);
}

}  // namespace

at::Tensor sample_masks(const at::Tensor& like_BTF, const DropPlaces& places,
                        const Dropout& options) {
  at::Generator generator = at::globalContext().defaultGenerator(like_BTF.device());
  std::vector<at::Tensor> masks;
  for (std::int64_t i = 0; i < like_BTF.size(0); ++i) {
    const auto sample = static_cast<std::uint64_t>(places.first_sample + i);
    generator.set_current_seed(scramble(options.key ^ scramble(sample)));
    const at::Tensor whole =
        at::empty({places.length, places.num_features}, like_BTF.options().dtype(at::kBool))
            .bernoulli_(1 - options.p, generator);
    masks.push_back(whole.narrow(0, places.first_token, like_BTF.size(1))
                        .narrow(1, places.first_feature, like_BTF.size(2)));
  }
  return at::stack(masks);
}

at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call) {
  return dropout(x_BSH, options, call, call.sequence);
}

at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call,
                   const SequenceSplit& split) {
  return drop_elements(x_BSH,
                       {call.first_sample, split.tokens.begin, split.length, 0, x_BSH.size(2)},
                       options, call);
}

at::Tensor region_dropout(const at::Tensor& x_BTF, const Dropout& options, const LayerCall& call,
                          Range features, std::int64_t num_features) {
  return drop_elements(x_BTF,
                       {call.first_sample, call.sequence.block_tokens.begin, call.sequence.length,
                        features.begin, num_features},
                       options, call);
}

}  // namespace galvatron::nn
