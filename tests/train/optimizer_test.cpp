#include "galvatron/train/optimizers/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include "galvatron/base/error.h"
#include "galvatron/models/registry.h"
#include "galvatron/runtime/engine.h"

#include "train/single_precision.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

TEST(ClipFactor, IsPyTorchs) {
  EXPECT_EQ(clip_factor(0.5, 1.0), 1);
  EXPECT_EQ(clip_factor(4.0, 1.0), 1.0 / (4.0 + 1e-6));
  EXPECT_EQ(clip_factor(1.0, 1.0), 1.0 / (1.0 + 1e-6)) << "at the border the epsilon counts";
  EXPECT_EQ(clip_factor(4.0, 0), 1) << "0: never";
}

// Both groups of a unit's parameters from element `first` on, as torch.optim would train them.
struct Reference {
  at::Tensor decayed, plain;
  std::unique_ptr<torch::optim::Optimizer> optimizer;

  template <typename TorchOptimizer, typename TorchOptions>
  static Reference make(runtime::ParamUnit& unit, const TorchOptions& options, at::ScalarType dtype,
                        std::int64_t first = 0) {
    const std::int64_t border = unit.num_decayed() - first;
    const at::Tensor weights = unit.master().slice(0, first).to(dtype, false, /*copy=*/true);
    Reference out{weights.slice(0, 0, border), weights.slice(0, border), nullptr};
    const auto group = [&](const at::Tensor& values, double weight_decay) {
      auto own = std::make_unique<TorchOptions>(options);
      own->weight_decay(weight_decay);
      return torch::optim::OptimizerParamGroup({values}, std::move(own));
    };
    std::vector<torch::optim::OptimizerParamGroup> groups{
        group(out.decayed, options.weight_decay()), group(out.plain, 0)};
    out.optimizer = std::make_unique<TorchOptimizer>(std::move(groups), options);
    return out;
  }

  at::Tensor weights() const { return at::cat({decayed, plain}); }

  void step(const at::Tensor& gradient, double lr) {
    decayed.mutable_grad() = gradient.slice(0, 0, decayed.numel());
    plain.mutable_grad() = gradient.slice(0, decayed.numel());
    for (auto& group : optimizer->param_groups()) group.options().set_lr(lr);
    optimizer->step();
  }
};

// torch.optim has no Lion: this is the paper's algorithm 2, line by line (arXiv:2302.06675).
struct LionOptions : torch::optim::OptimizerCloneableOptions<LionOptions> {
  TORCH_ARG(double, lr) = 0;
  TORCH_ARG(double, weight_decay) = 0;
  TORCH_ARG(double, beta1) = 0;
  TORCH_ARG(double, beta2) = 0;

 public:
  double get_lr() const override { return lr_; }
  void set_lr(const double rate) override { lr_ = rate; }
};

class PlainLion : public torch::optim::Optimizer {
 public:
  PlainLion(std::vector<torch::optim::OptimizerParamGroup> groups, const LionOptions& options)
      : Optimizer(std::move(groups), std::make_unique<LionOptions>(options)) {}

  torch::Tensor step(LossClosure) override {
    const torch::NoGradGuard no_grad;
    for (auto& group : param_groups()) {
      const auto& options = static_cast<const LionOptions&>(group.options());
      for (at::Tensor& weight : group.params()) {
        at::Tensor& momentum = momenta_[weight.unsafeGetTensorImpl()];
        if (!momentum.defined()) momentum = torch::zeros_like(weight);
        const at::Tensor gradient = weight.grad();
        weight.copy_(weight - options.lr() * options.weight_decay() * weight);
        const at::Tensor c = options.beta1() * momentum + (1 - options.beta1()) * gradient;
        weight.copy_(weight - options.lr() * torch::sign(c));
        momentum = options.beta2() * momentum + (1 - options.beta2()) * gradient;
      }
    }
    return {};
  }

 private:
  std::map<const void*, at::Tensor> momenta_;
};

struct Comparison {
  double difference = 0;        // of any weight, between ours and torch's
  double ours = 0, torchs = 0;  // errors against torch's in double
  double scale = 0;             // the largest weight
  std::int64_t num_decayed = 0, num_plain = 0;
};

constexpr int kManySteps = 20;

// Steps on random gradients, clipped, by both.
template <typename TorchOptimizer, typename TorchOptions>
Comparison compare(const spec::OptimizerChoice& choice, const TorchOptions& options,
                   spec::Precision precision) {
  comm::World world = comm::single_world();
  runtime::Engine engine(tiny_gpt(), make_plan(1, {}, 1, 1, precision), world, models::make_layer,
                         {kSeed, kSeqLength, true});
  const auto optimizer = make_optimizer(engine.units(), choice);
  std::vector<Reference> references, truths;
  for (runtime::ParamUnit* unit : engine.units()) {
    references.push_back(
        Reference::make<TorchOptimizer>(*unit, options, unit->master().scalar_type()));
    truths.push_back(Reference::make<TorchOptimizer>(*unit, options, at::kDouble));
  }

  torch::manual_seed(kSeed);
  for (int step = 0; step < kManySteps; ++step) {
    const double lr = std::array{1e-2, 3e-2, 1e-3}[static_cast<std::size_t>(step % 3)];
    for (std::size_t i = 0; i < references.size(); ++i) {
      const at::Tensor gradient = torch::randn_like(engine.units()[i]->gradient());
      engine.units()[i]->gradient().copy_(gradient);
      references[i].step(gradient * 0.25, lr);
      truths[i].step(gradient.to(at::kDouble) * 0.25, lr);
    }
    optimizer->step(lr, 0.25);
  }
  EXPECT_EQ(optimizer->num_steps(), kManySteps);
  const auto largest = [](const at::Tensor& x) { return x.abs().max().item<double>(); };
  Comparison out;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const at::Tensor ours = engine.units()[i]->master(), torchs = references[i].weights(),
                     truth = truths[i].weights();
    out.difference = std::max(out.difference, largest(ours - torchs));
    out.ours = std::max(out.ours, largest(ours - truth));
    out.torchs = std::max(out.torchs, largest(torchs - truth));
    out.scale = std::max(out.scale, largest(truth));
    out.num_decayed += references[i].decayed.numel();
    out.num_plain += references[i].plain.numel();
  }
  return out;
}

template <typename TorchOptimizer, typename TorchOptions>
void expect_equal_to_torchs(const spec::OptimizerChoice& choice, const TorchOptions& options) {
  const Comparison exact = compare<TorchOptimizer>(choice, options, spec::Precision::kFp64);
  EXPECT_LT(exact.difference, 1e-14);
  EXPECT_GT(exact.num_decayed, 0);
  EXPECT_GT(exact.num_plain, 0);
  // Here the kernel itself divides the gradients.
  const Comparison single = compare<TorchOptimizer>(choice, options, spec::Precision::kFp32);
  EXPECT_LE(single.ours, kFactor * single.torchs + kFloorUlps * kUlp * single.scale)
      << "torch's is off by " << single.torchs << "; " << circumstances();
}

TEST(AdamW, EqualsTorchsWithWeightDecayOnMatricesOnly) {
  torch::optim::AdamWOptions options;
  options.betas({0.8, 0.97}).eps(1e-6).weight_decay(0.3);
  expect_equal_to_torchs<torch::optim::AdamW>(
      {"adamw", {{"beta1", 0.8}, {"beta2", 0.97}, {"adam_eps", 1e-6}, {"weight_decay", 0.3}}},
      options);
}

TEST(Sgd, EqualsTorchsWithWeightDecayOnMatricesOnly) {
  for (const double momentum : {0.0, 0.8}) {
    expect_equal_to_torchs<torch::optim::SGD>(
        {"sgd", {{"momentum", momentum}, {"weight_decay", 0.3}}},
        torch::optim::SGDOptions(0).momentum(momentum).weight_decay(0.3));
  }
}

TEST(Lion, EqualsThePapersWithWeightDecayOnMatricesOnly) {
  expect_equal_to_torchs<PlainLion>(
      {"lion", {{"beta1", 0.8}, {"beta2", 0.97}, {"weight_decay", 0.3}}},
      LionOptions().beta1(0.8).beta2(0.97).weight_decay(0.3));
}

// What cancels but for its rounding may not move a weight by a whole step.
TEST(Lion, TakesRestsOfRoundingForZeroInDouble) {
  comm::World world = comm::single_world();
  runtime::Engine engine(tiny_gpt(), make_plan(1, {}, 1, 1, spec::Precision::kFp64), world,
                         models::make_layer, {kSeed, kSeqLength, true});
  runtime::ParamUnit& unit = *engine.units().front();
  const at::Tensor before = unit.master().clone();
  const auto optimizer = make_optimizer(engine.units(), {"lion", {{"weight_decay", 0}}});
  for (runtime::ParamUnit* each : engine.units()) each->gradient().fill_(1e-17);
  optimizer->step(1e-2);
  EXPECT_TRUE(at::equal(unit.master(), before));
  for (runtime::ParamUnit* each : engine.units()) each->gradient().fill_(1e-12);
  optimizer->step(1e-2);
  EXPECT_LT((unit.master() - (before - 1e-2)).abs().max().item<double>(), 1e-15);
}

// As the public Muon writes it, but in full precision.
at::Tensor plain_orthogonal(const at::Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = tall ? matrix.mT() : matrix;
  x = x / x.norm().clamp(1e-7);
  for (int step = 0; step < 5; ++step) {
    const at::Tensor a = x.matmul(x.mT());
    const at::Tensor b = -4.7750 * a + 2.0315 * a.matmul(a);
    x = 3.4445 * x + b.matmul(x);
  }
  return tall ? x.mT() : x;
}

struct PlainMuonMatrix {
  at::Tensor weight, momentum;

  void step(const at::Tensor& gradient, double lr) {
    momentum = 0.8 * momentum + (1 - 0.8) * gradient;
    const at::Tensor direction = plain_orthogonal(gradient * (1 - 0.8) + momentum * 0.8);
    const auto longer = static_cast<double>(std::max(weight.size(0), weight.size(1)));
    weight = weight - lr * 0.3 * weight - lr * 0.2 * std::sqrt(longer) * direction;
  }
};

// One unit, its matrices by themselves and all else by torch's AdamW.
struct MuonReference {
  std::vector<PlainMuonMatrix> matrices;
  Reference others;

  explicit MuonReference(runtime::ParamUnit& unit) {
    for (const auto& [slot, rows] : places(unit)) {
      const at::Tensor weight = unit.slot_view(unit.master(), slot).slice(0, rows.begin, rows.end);
      matrices.push_back({weight.clone(), torch::zeros_like(weight)});
    }
    torch::optim::AdamWOptions options;
    options.betas({0.7, 0.97}).eps(1e-6).weight_decay(0.3);
    others =
        Reference::make<torch::optim::AdamW>(unit, options, at::kDouble, unit.num_of_matrices());
  }

  static std::vector<std::pair<int, Range>> places(const runtime::ParamUnit& unit) {
    std::vector<std::pair<int, Range>> out;
    for (std::size_t i = 0; i < unit.slots().size(); ++i) {
      if (!unit.slots()[i].is_matrix) continue;
      for (const Range& rows : spec::matrix_rows(*unit.slots()[i].spec))
        out.push_back({static_cast<int>(i), rows});
    }
    return out;
  }

  void step(const runtime::ParamUnit& unit, const at::Tensor& gradient, double lr) {
    const auto all = places(unit);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto& [slot, rows] = all[i];
      matrices[i].step(unit.slot_view(gradient, slot).slice(0, rows.begin, rows.end), lr);
    }
    others.step(gradient.slice(0, unit.num_of_matrices()), lr);
  }

  double difference(runtime::ParamUnit& unit) const {
    const auto largest = [](const at::Tensor& x) {
      return x.numel() == 0 ? 0 : x.abs().max().item<double>();
    };
    double out = largest(unit.master().slice(0, unit.num_of_matrices()) - others.weights());
    const auto all = places(unit);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto& [slot, rows] = all[i];
      const at::Tensor ours = unit.slot_view(unit.master(), slot).slice(0, rows.begin, rows.end);
      out = std::max(out, largest(ours - matrices[i].weight));
    }
    return out;
  }
};

TEST(Muon, IsJordansOfEachMatrixOfABlockAndAdamWOfTheRest) {
  comm::World world = comm::single_world();
  const spec::ModelSpec model = tiny_llama();
  const plan::Plan plan =
      plan::uniform_plan(model, {kSeqLength, kGlobalBatch, spec::Precision::kFp64}, 1, {});
  runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, true});
  const auto optimizer = make_optimizer(engine.units(), {"muon",
                                                         {{"momentum", 0.8},
                                                          {"beta1", 0.7},
                                                          {"beta2", 0.97},
                                                          {"adam_eps", 1e-6},
                                                          {"weight_decay", 0.3}}});
  const std::vector<runtime::ParamUnit*> units = engine.units();
  std::vector<MuonReference> references;
  for (runtime::ParamUnit* unit : units) references.emplace_back(*unit);
  std::size_t num_matrices = 0;
  torch::manual_seed(kSeed);
  for (int step = 0; step < kManySteps; ++step) {
    const double lr = 1e-2 / (1 + step);
    for (std::size_t i = 0; i < units.size(); ++i) {
      const at::Tensor gradient = torch::randn_like(units[i]->gradient());
      units[i]->gradient().copy_(gradient);
      references[i].step(*units[i], gradient * 0.25, lr);
      if (step == 0) num_matrices += references[i].matrices.size();
    }
    optimizer->step(lr, 0.25);
  }
  EXPECT_EQ(num_matrices, 2 * 7U) << "q, k, v, output, gate, up and down of two blocks";
  for (std::size_t i = 0; i < units.size(); ++i)
    EXPECT_LT(references[i].difference(*units[i]), 1e-12) << units[i]->name();
}

// Whole parameters after steps on gradients of ones, with groups and without.
std::map<std::string, at::Tensor> trained_on_ones(const std::vector<std::string>& groups) {
  comm::World world = comm::single_world();
  runtime::Engine engine(tiny_gpt(), make_plan(1, {}, 1, 1, spec::Precision::kFp64), world,
                         models::make_layer, {kSeed, kSeqLength, true});
  const auto optimizer =
      make_optimizer(engine.units(), {"sgd", {{"momentum", 0}, {"weight_decay", 0.5}}});
  optimizer->set_groups({groups, engine.model()});
  for (runtime::ParamUnit* unit : engine.units()) unit->gradient().fill_(1);
  optimizer->drop_frozen_gradients();
  optimizer->step(0.1);
  std::map<std::string, at::Tensor> out;
  for (runtime::ParamUnit* unit : engine.units()) {
    for (std::size_t i = 0; i < unit->slots().size(); ++i)
      out[unit->slots()[i].full_name] =
          unit->slot_view(unit->master(), static_cast<int>(i)).clone();
  }
  return out;
}

TEST(ParamGroups, AreUpdatedInTheirOwnWay) {
  const std::string bias = "block.1.attention.qkv.bias", weight = "block.1.attention.qkv.weight";
  const auto first = trained_on_ones({"*:lr=0x"}), usual = trained_on_ones({}),
             grouped = trained_on_ones(
                 {"*h.1.attn.c_attn.weight:frozen", "*h.1.attn*.bias:lr=0.5x,weight_decay=2"});
  for (const auto& [name, value] : usual) {
    const at::Tensor& before = first.at(name);
    if (name == weight) {
      EXPECT_TRUE(at::equal(grouped.at(name), before));
    } else if (name == bias || name == "block.1.attention.output.bias") {
      const at::Tensor expected = before - 0.05 * (1 + 2 * before);
      EXPECT_LT((grouped.at(name) - expected).abs().max().item<double>(), 1e-15) << name;
    } else {
      EXPECT_TRUE(at::equal(grouped.at(name), value)) << name;
    }
  }
  EXPECT_FALSE(at::equal(usual.at(weight), first.at(weight)));
}

TEST(Optimizer, KeepsTheStatesOfItsSpecificationForEveryUnit) {
  comm::World world = comm::single_world();
  runtime::Engine engine(tiny_gpt(), make_plan(1, {}), world, models::make_layer,
                         {kSeed, kSeqLength, true});
  for (const std::string& name : spec::optimizer_names()) {
    const auto optimizer = make_optimizer(engine.units(), {name, {}});
    EXPECT_EQ(optimizer->spec().name, name);
    for (runtime::ParamUnit* unit : engine.units()) unit->gradient().fill_(0.1);
    optimizer->step(1e-3);
    for (const runtime::ParamUnit* unit : engine.units()) {
      for (const std::string& state : optimizer->spec().states) {
        const std::int64_t size = optimizer->held_of(*unit, state).size();
        EXPECT_EQ(optimizer->state(*unit, state).numel(), size);
        const bool all = optimizer->spec().keeps(state, /*of_matrix=*/true);
        const std::int64_t left_out = all ? 0 : unit->num_of_matrices();
        EXPECT_TRUE(optimizer->spec().factors || size == unit->owned().size() - left_out);
        for (std::size_t i = 0; i < unit->slots().size(); ++i) {
          const runtime::ParamSlot& slot = unit->slots()[i];
          const at::Tensor whole = optimizer->whole_state(*unit, static_cast<int>(i), state);
          const bool factored = optimizer->spec().factors && slot.spec->shape.size() > 1 &&
                                state != optimizer->spec().states[2];
          EXPECT_EQ(whole.defined(), factored) << slot.full_name;
          EXPECT_TRUE(!factored || whole.ne(0).all().item<bool>()) << name << " " << state;
        }
        if (optimizer->spec().factors) continue;  // padding stays zero
        EXPECT_TRUE(optimizer->state(*unit, state).ne(0).all().item<bool>())
            << name << " " << state;
      }
      EXPECT_THROW(optimizer->state(*unit, "exp_avg_cubed"), InternalError);
    }
  }
}

}  // namespace
}  // namespace galvatron::train
