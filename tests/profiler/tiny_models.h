// A small model of each family, and data for them: what predictions are held against.
#pragma once
#include <string>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::profiler {

inline constexpr std::int64_t kSeqLength = 64, kGlobalBatch = 16;

class Zeros : public runtime::InputSource {
 public:
  explicit Zeros(const spec::ImageSpec& image) : image_(image) {}
  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    if (kind == spec::InputKind::kImages) {
      return at::zeros({samples.size(), image_.channels, image_.height, image_.width});
    }
    if (kind == spec::InputKind::kClasses) return at::zeros({samples.size()}, at::kLong);
    return at::zeros({samples.size(), tokens.size()}, at::kLong);
  }
  double num_labels() override { return static_cast<double>(kSeqLength * kGlobalBatch); }

 private:
  spec::ImageSpec image_;
};

// With a large vocabulary the peak is at the embedding or the head, with a small one in a block.
inline spec::ModelSpec tiny_gpt(std::int64_t vocab_size, bool tied) {
  const Json config = {{"model_type", "gpt2"}, {"vocab_size", vocab_size},
                       {"n_positions", 64},    {"n_embd", 128},
                       {"n_layer", 6},         {"n_head", 8},
                       {"resid_pdrop", 0},     {"embd_pdrop", 0},
                       {"attn_pdrop", 0},      {"tie_word_embeddings", tied}};
  return spec::model_from_config(config, std::to_string(vocab_size) + (tied ? " tied" : ""));
}

inline spec::ModelSpec tiny_model_of(const std::string& family) {
  const Json image = {
      {"image_size", 64}, {"num_channels", 3}, {"num_labels", 10}, {"hidden_dropout_prob", 0}};
  Json config;
  if (family == "bert") {
    config = {{"hidden_size", 128},       {"num_hidden_layers", 4},
              {"num_attention_heads", 8}, {"intermediate_size", 512},
              {"vocab_size", 1000},       {"max_position_embeddings", 64},
              {"hidden_dropout_prob", 0}, {"attention_probs_dropout_prob", 0}};
  } else if (family == "t5") {
    config = {{"d_model", 128}, {"d_kv", 16},         {"d_ff", 512},      {"num_layers", 3},
              {"num_heads", 8}, {"vocab_size", 1000}, {"dropout_rate", 0}};
  } else if (family == "mistral" || family == "olmo2" || family == "gemma2") {
    config = {{"hidden_size", 128},       {"num_hidden_layers", 4},
              {"num_attention_heads", 8}, {"num_key_value_heads", 4},
              {"intermediate_size", 352}, {"vocab_size", 1000},
              {"head_dim", 16},           {"max_position_embeddings", 64},
              {"sliding_window", 16},     {"pad_token_id", 0}};
  } else if (family == "gpt_neox") {
    config = {{"hidden_size", 128},       {"num_hidden_layers", 4},
              {"num_attention_heads", 8}, {"intermediate_size", 512},
              {"vocab_size", 1000},       {"max_position_embeddings", 64}};
  } else if (family == "vit") {
    config = {{"hidden_size", 128},
              {"num_hidden_layers", 4},
              {"num_attention_heads", 8},
              {"intermediate_size", 512},
              {"patch_size", 8}};
    config.update(image);
  } else {
    config = {{"embed_dim", 64},  {"depths", {2, 2}}, {"num_heads", {4, 8}},
              {"window_size", 4}, {"patch_size", 4},  {"drop_path_rate", 0}};
    config.update(image);
  }
  config["model_type"] = family;
  return spec::model_from_config(config, family);
}

inline spec::ModelSpec tiny_model(const std::string& family, std::int64_t vocab_size, bool tied) {
  return family == "gpt2" ? tiny_gpt(vocab_size, tied) : tiny_model_of(family);
}

}  // namespace galvatron::profiler
