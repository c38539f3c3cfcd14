#include "galvatron/spec/optimizer_spec.h"

#include <set>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

ParamSpec param_of(std::vector<std::int64_t> shape, TensorSplit split = {}) {
  ParamSpec out;
  out.shape = std::move(shape);
  out.split = std::move(split);
  return out;
}

TEST(OptimizerSpec, AdamWIsTheDefaultAndTheMeasureOfTime) {
  const OptimizerSpec& adamw = find_optimizer("adamw");
  EXPECT_EQ(&adamw, &default_optimizer());
  EXPECT_EQ(adamw.states, (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
  EXPECT_EQ(adamw.words(), 7);
  EXPECT_EQ(adamw.relative_time(), 1);
}

TEST(OptimizerSpec, SgdKeepsOneStateAndIsFasterByItsMemory) {
  const OptimizerSpec& sgd = find_optimizer("sgd");
  EXPECT_EQ(sgd.states, (std::vector<std::string>{"momentum_buffer"}));
  EXPECT_EQ(sgd.words(), 5);
  EXPECT_DOUBLE_EQ(sgd.relative_time(), 7.0 / 9);
}

TEST(OptimizerSpec, LionKeepsOneStateToo) {
  const OptimizerSpec& lion = find_optimizer("lion");
  EXPECT_EQ(lion.states, (std::vector<std::string>{"exp_avg"}));
  EXPECT_DOUBLE_EQ(lion.relative_time(), 7.0 / 9);
}

TEST(OptimizerSpec, MuonKeepsASecondMomentOfNoMatrix) {
  const OptimizerSpec& muon = find_optimizer("muon");
  EXPECT_TRUE(muon.keeps("momentum_buffer", true));
  EXPECT_TRUE(muon.keeps("exp_avg_sq", false));
  EXPECT_FALSE(muon.keeps("exp_avg_sq", true));
}

TEST(OptimizerSpec, AdafactorKeepsMeansOfRowsAndColumns) {
  const OptimizerSpec& adafactor = find_optimizer("adafactor");
  using Shape = std::vector<std::int64_t>;
  const ParamSpec matrix = param_of({4, 8}, {1, {8}, 2}), bias = param_of({4}),
                  qkv = param_of({8, 4}, {0, {4, 2, 2}, 2}), patches = param_of({2, 3, 5, 7});
  EXPECT_EQ(adafactor.state_shape("row_var", matrix, true), (Shape{4}));
  EXPECT_EQ(adafactor.state_shape("col_var", matrix, true), (Shape{8}));
  EXPECT_EQ(adafactor.state_shape("variance", matrix, true), Shape{});
  EXPECT_EQ(adafactor.state_shape("variance", bias, false), (Shape{4}));
  EXPECT_EQ(adafactor.state_shape("row_var", bias, false), Shape{});
  EXPECT_EQ(adafactor.state_shape("row_var", qkv, true), (Shape{8}));
  EXPECT_EQ(adafactor.state_shape("col_var", qkv, true), (Shape{3, 4})) << "of q, k and v each";
  EXPECT_EQ(adafactor.state_shape("row_var", patches, false), (Shape{2, 3, 5}));
  EXPECT_EQ(adafactor.state_shape("col_var", patches, false), (Shape{2, 3, 7}));
  EXPECT_DOUBLE_EQ(adafactor.relative_time(), 10.0 / 9);
}

TEST(OptimizerSpec, MatricesOfAFusedOneAreItsSegments) {
  const ParamSpec qkv = param_of({8, 4}, {0, {4, 2, 2}, 2});
  EXPECT_EQ(matrix_rows(qkv), (std::vector<Range>{{0, 4}, {4, 6}, {6, 8}}));
  // Of m x n, the shorter m first: 5 (4 m m n + 2 m m m).
  EXPECT_EQ(matrix_flops(qkv), 5 * (4 * 64 + 2 * 64 + 2 * (4 * 16 + 2 * 8)));
  const ParamSpec output = param_of({4, 8}, {1, {8}, 2});
  EXPECT_EQ(matrix_rows(output), (std::vector<Range>{{0, 4}}));
  EXPECT_EQ(matrix_flops(output), 5 * (4 * 128 + 2 * 64));
}

TEST(OptimizerSpec, MatricesOfBlocksAreNoTablesAndNoVectors) {
  for (const char* const family : {"t5", "swin", "gpt2"}) {
    const ModelSpec model = model_from_config({{"model_type", family}}, family);
    bool any = false;
    for (const LayerSpec& layer : model.layers) {
      for (const ParamSpec& param : layer.params) {
        if (!layer.is_block_matrix(param)) continue;
        any = true;
        EXPECT_EQ(param.shape.size(), 2U) << param.name;
        EXPECT_EQ(param.name.find("bias"), std::string::npos) << param.name;
        EXPECT_TRUE(layer.kind == LayerKind::kBlock || layer.kind == LayerKind::kMerge);
      }
    }
    EXPECT_TRUE(any) << family;
  }
}

TEST(OptimizerSpec, ANearMissIsNamed) {
  EXPECT_NE(config_error_of([] { find_optimizer("adam"); }).find(", did you mean 'adamw'?"),
            std::string::npos);
}

TEST(OptimizerSpec, EveryOptionIsThereOnceAndItsDefaultIsInRange) {
  std::set<std::string> names;
  for (const OptimizerOption& option : optimizer_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_LE(option.min, option.standard) << option.name;
    EXPECT_LE(option.standard, option.max) << option.name;
  }
  for (const OptimizerSpec& optimizer : optimizers()) {
    for (const OptimizerOption& option : optimizer.options)
      EXPECT_TRUE(names.contains(option.name));
  }
}

TEST(OptimizerChoice, HasDefaultsWhereNothingWasSet) {
  EXPECT_EQ(OptimizerChoice().spec().name, "adamw");
  const OptimizerChoice choice("adamw", {{"beta1", 0.5}});
  EXPECT_EQ(choice.value("beta1"), 0.5);
  EXPECT_EQ(choice.value("beta2"), 0.95);
  EXPECT_THROW(choice.value("beta3"), InternalError);
  EXPECT_EQ(OptimizerChoice("sgd", {}).value("weight_decay"), 0) << "each has its own";
}

TEST(OptimizerChoice, RefusesOptionsOfOthers) {
  EXPECT_EQ(config_error_of([] { OptimizerChoice("adamw", {{"momentum", 0.5}}); }),
            "[optimizer] momentum 0.5 is an option of sgd, muon, not of adamw; leave it away, or "
            "choose optimizer sgd");
}

TEST(OptimizerOptions, SayWhoseTheyAreWhereNotAllHaveThem) {
  const auto help = [](const std::string& name) {
    for (const OptimizerOption& option : optimizer_options()) {
      if (option.name == name) return option.help;
    }
    return std::string("there is none");
  };
  EXPECT_EQ(help("adam_eps"), "Added to the root of the second moment (adamw, muon)");
  EXPECT_EQ(
      help("beta2"),
      "Decay of the second moment (adamw, lion, muon); of lion, by default 0.99, decay of the "
      "momentum");
  EXPECT_EQ(
      help("weight_decay"),
      "Decoupled; not of biases, norms and other one-dimensional parameters; of sgd, by default "
      "0, part of the gradient of the same parameters; of adafactor, by default 0");
}

}  // namespace
}  // namespace galvatron::spec
