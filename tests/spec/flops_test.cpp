#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {
namespace {

TEST(ForwardFlops, OfAGptBlockFollowTheTextbook) {
  const ModelSpec model = load_model("gpt2");
  const double h = 768;
  const double s = 1024;
  // 24 s h^2 for the matrices, and half of 4 s^2 h for the causal scores (Narayanan et al. 2021).
  EXPECT_DOUBLE_EQ(forward_flops(model.layers[1], model, 1024), 24 * s * h * h + 2 * s * s * h);
}

TEST(ForwardFlops, OfALlamaBlockCountGroupedQueriesAndTheGate) {
  const ModelSpec model = load_model("llama3-8b");
  const double h = 4096;
  const double s = 100;
  const double matrices = h * (h + 2 * 1024) + h * h + 3 * h * 14336;
  EXPECT_DOUBLE_EQ(forward_flops(model.layers[1], model, 100), 2 * s * matrices + 2 * s * s * h);
}

// Of w keys in view a query meets w, the first ones fewer: w - w^2 / 2s on average.
TEST(ForwardFlops, OfASlidingWindowCountWhatItShows) {
  const auto block_flops = [](const Json& window, std::int64_t length) {
    const ModelSpec model = model_from_config(
        {{"model_type", "mistral"}, {"num_hidden_layers", 1}, {"sliding_window", window}},
        "slides");
    return forward_flops(model.layers[1], model, length);
  };
  const double whole = block_flops(nullptr, 1000), windowed = block_flops(100, 1000);
  EXPECT_DOUBLE_EQ(whole - windowed, 4.0 * 1000 * (500 - (100 - 5)) * 4096);
  EXPECT_EQ(block_flops(1000, 1000), whole);
  EXPECT_EQ(block_flops(4096, 1000), whole);
}

TEST(ForwardFlops, EmbeddingIsFreeAndTheHeadIsAMatrix) {
  const ModelSpec model = load_model("gpt2");
  EXPECT_EQ(forward_flops(model.layers.front(), model, 1024), 0);
  EXPECT_DOUBLE_EQ(forward_flops(model.layers.back(), model, 1024), 2.0 * 1024 * 768 * 50257);
}

TEST(ForwardFlops, OfAModelAreTheSumOfItsLayers) {
  const ModelSpec model = load_model("llama-tiny");
  double sum = 0;
  for (const LayerSpec& layer : model.layers) sum += forward_flops(layer, model, 64);
  EXPECT_DOUBLE_EQ(forward_flops(model, 64), sum);
  // Long known: about 2 operations per parameter and token.
  EXPECT_NEAR(forward_flops(load_model("llama2-7b"), 1), 2 * 6.74e9, 0.02 * 2 * 6.74e9);
}

}  // namespace
}  // namespace galvatron::spec
