#include "galvatron/train/optimizer.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "galvatron/models/registry.h"
#include "galvatron/runtime/engine.h"

#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

TEST(ClipFactor, IsPyTorchs) {
  EXPECT_EQ(clip_factor(0.5, 1.0), 1);
  EXPECT_EQ(clip_factor(4.0, 1.0), 1.0 / (4.0 + 1e-6));
  EXPECT_EQ(clip_factor(1.0, 1.0), 1.0 / (1.0 + 1e-6)) << "at the border the epsilon counts";
  EXPECT_EQ(clip_factor(4.0, 0), 1) << "0: never";
}

// Both groups of a unit's parameters, as torch.optim.AdamW would train them.
struct Reference {
  at::Tensor decayed, plain;
  std::unique_ptr<torch::optim::AdamW> optimizer;

  Reference(runtime::ParamUnit& unit, const AdamWOptions& options) {
    const std::int64_t border = unit.num_decayed();
    decayed = unit.master().slice(0, 0, border).clone();
    plain = unit.master().slice(0, border).clone();
    const auto group = [&](const at::Tensor& values, double weight_decay) {
      auto adamw = std::make_unique<torch::optim::AdamWOptions>();
      adamw->betas({options.beta1, options.beta2}).eps(options.epsilon).weight_decay(weight_decay);
      return torch::optim::OptimizerParamGroup({values}, std::move(adamw));
    };
    optimizer =
        std::make_unique<torch::optim::AdamW>(std::vector<torch::optim::OptimizerParamGroup>{
            group(decayed, options.weight_decay), group(plain, 0)});
  }

  void step(const at::Tensor& gradient, double lr) {
    decayed.mutable_grad() = gradient.slice(0, 0, decayed.numel());
    plain.mutable_grad() = gradient.slice(0, decayed.numel());
    for (auto& group : optimizer->param_groups()) group.options().set_lr(lr);
    optimizer->step();
  }
};

TEST(AdamW, EqualsTorchsWithWeightDecayOnMatricesOnly) {
  comm::World world = comm::single_world();
  runtime::Engine engine(tiny_gpt(), make_plan(1, {}, 1, 1, spec::Precision::kFp64), world,
                         models::make_layer, {kSeed, kSeqLength, true});
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.97, .epsilon = 1e-6, .weight_decay = 0.3};
  AdamW optimizer(engine.units(), options);
  std::vector<Reference> references;
  for (runtime::ParamUnit* unit : engine.units()) references.emplace_back(*unit, options);

  torch::manual_seed(kSeed);
  for (const double lr : {1e-2, 3e-2, 1e-3}) {
    for (std::size_t i = 0; i < references.size(); ++i) {
      const at::Tensor gradient = torch::randn_like(engine.units()[i]->gradient());
      engine.units()[i]->gradient().copy_(gradient);
      references[i].step(gradient * 0.25, lr);
    }
    optimizer.step(lr, 0.25);
  }
  std::int64_t num_decayed = 0, num_plain = 0;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const at::Tensor expected = at::cat({references[i].decayed, references[i].plain});
    const double difference = (engine.units()[i]->master() - expected).abs().max().item<double>();
    EXPECT_LT(difference, 1e-14) << engine.units()[i]->name();
    num_decayed += references[i].decayed.numel();
    num_plain += references[i].plain.numel();
  }
  EXPECT_GT(num_decayed, 0);
  EXPECT_GT(num_plain, 0);
}

}  // namespace
}  // namespace galvatron::train
