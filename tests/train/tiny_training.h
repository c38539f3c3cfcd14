// A model that trains in milliseconds, and plans that spread it in very different ways.
#pragma once
#include <memory>

#include "galvatron/data/next_token_samples.h"
#include "galvatron/data/synthetic_samples.h"
#include "galvatron/plan/plan.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/train/trainer.h"

namespace galvatron::train {

inline constexpr std::int64_t kSeqLength = 16, kGlobalBatch = 8, kSamples = 64;
inline constexpr std::uint64_t kSeed = 7;

inline spec::ModelSpec tiny_gpt() {
  return spec::model_from_config({{"model_type", "gpt2"},
                                  {"vocab_size", 101},
                                  {"n_positions", 32},
                                  {"n_embd", 32},
                                  {"n_layer", 4},
                                  {"n_head", 8},
                                  {"resid_pdrop", 0.0},
                                  {"embd_pdrop", 0.0},
                                  {"attn_pdrop", 0.0}},
                                 "tiny");
}

// Its fused matrices are of unequal parts.
inline spec::ModelSpec tiny_llama() {
  return spec::model_from_config({{"model_type", "llama"},
                                  {"vocab_size", 101},
                                  {"max_position_embeddings", 32},
                                  {"hidden_size", 32},
                                  {"intermediate_size", 48},
                                  {"num_hidden_layers", 2},
                                  {"num_attention_heads", 4},
                                  {"num_key_value_heads", 2},
                                  {"tie_word_embeddings", false}},
                                 "tiny-llama");
}

inline data::NextTokenSamples synthetic_samples(const spec::ModelSpec& model,
                                                std::uint64_t seed = 0) {
  return data::NextTokenSamples(
      std::make_unique<data::SyntheticSamples>(kSamples, kSeqLength, model.vocab_size, seed));
}

inline plan::Plan make_plan(int world_size, const plan::LayerStrategy& strategy, int pp_degree = 1,
                            int num_microbatches = 1,
                            spec::Precision precision = spec::Precision::kFp32) {
  return plan::uniform_plan(tiny_gpt(), {kSeqLength, kGlobalBatch, precision}, world_size, strategy,
                            pp_degree, num_microbatches);
}

// Every layer another way of spreading over four ranks.
inline plan::Plan mixed_plan() {
  plan::Plan plan = make_plan(4, {}, 1, 2);
  plan.layers[0] = {.tp_degree = 4, .zero_stage = 1};
  plan.layers[1] = {.ulysses_degree = 4, .zero_stage = 3, .recompute = plan::Recompute::kFull};
  plan.layers[2] = {.tp_degree = 2, .ulysses_degree = 2, .recompute = plan::Recompute::kSelective};
  plan.layers[3] = {.zero_stage = 2};
  plan.layers[4] = {.ulysses_degree = 2, .zero_stage = 3};
  plan.layers[5] = plan.layers[0];  // tied to the embedding
  return plan;
}

inline TrainerOptions make_options(std::int64_t num_steps) {
  TrainerOptions options;
  options.num_steps = num_steps;
  options.lr = {LrShape::kCosine, 3e-3, 3e-4, num_steps / 10};
  return options;
}

}  // namespace galvatron::train
