#include "runtime/random_model.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::testing {
namespace {

Json gpt_config(Random& random) {
  const std::int64_t heads = pick_of<std::int64_t>(random, {2, 4, 6, 8});
  const double dropout = pick(random, 0, 3) == 0 ? 0.2 : 0.0;
  return {{"model_type", "gpt2"},
          {"vocab_size", pick(random, 17, 61)},
          {"n_positions", 32},
          {"n_embd", heads * 4},
          {"n_layer", pick(random, 1, 4)},
          {"n_head", heads},
          {"n_inner", pick(random, 9, 40)},
          {"activation_function", "gelu_new"},
          {"resid_pdrop", dropout},
          {"embd_pdrop", dropout},
          {"attn_pdrop", pick(random, 0, 1) == 0 ? dropout : 0.0},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.1},
          {"tie_word_embeddings", pick(random, 0, 3) != 0}};
}

// LLaMA's keys, which the families of its kind add to.
Json llama_sizes(Random& random, const std::string& model_type) {
  const std::int64_t kv_heads = pick_of<std::int64_t>(random, {1, 2, 4, 6});
  const std::int64_t heads = kv_heads * pick(random, 1, 2);
  return {{"model_type", model_type},
          {"head_dim", 4},
          {"vocab_size", pick(random, 17, 61)},
          {"hidden_size", heads * 4},
          {"intermediate_size", pick(random, 9, 40)},
          {"num_hidden_layers", pick(random, 1, 4)},
          {"num_attention_heads", heads},
          {"num_key_value_heads", kv_heads},
          {"max_position_embeddings", 32},
          {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000.0},
          {"initializer_range", 0.1},
          {"tie_word_embeddings", pick(random, 0, 1) == 0},
          {"attention_dropout", pick(random, 0, 4) == 0 ? 0.2 : 0.0}};
}

Json llama_config(Random& random) {
  return llama_sizes(random, pick_of<std::string>(random, {"llama", "qwen2", "qwen3"}));
}

// Shorter than the sequence, longer than half of it, or longer than all of it. Not 1: where a token
// sees itself alone no query or key learns, and Adam would divide rounding noise by rounding noise.
std::int64_t window(Random& random) { return pick(random, 2, 21); }

Json window_config(Random& random) {
  Json config = llama_sizes(random, pick_of<std::string>(random, {"mistral", "qwen2", "qwen3"}));
  config["sliding_window"] = window(random);
  config["use_sliding_window"] = true;
  config["max_window_layers"] = pick(random, 0, 2);
  return config;
}

Json phi_config(Random& random) {
  Json config = llama_sizes(random, "phi3");
  config["head_dim"] = 6;
  config["pad_token_id"] = 3;
  config["partial_rotary_factor"] = pick_of<double>(random, {0.4, 0.7, 1.0});
  config["sliding_window"] = pick(random, 0, 1) == 0 ? Json(window(random)) : Json(nullptr);
  config["resid_pdrop"] = pick(random, 0, 3) == 0 ? 0.2 : 0.0;
  return config;
}

Json neox_config(Random& random) {
  const std::int64_t heads = pick_of<std::int64_t>(random, {2, 4, 6, 8});
  return {{"model_type", "gpt_neox"},
          {"vocab_size", pick(random, 17, 61)},
          {"hidden_size", heads * 8},
          {"intermediate_size", pick(random, 9, 40)},
          {"num_hidden_layers", pick(random, 1, 4)},
          {"num_attention_heads", heads},
          {"max_position_embeddings", 32},
          {"hidden_act", "gelu"},
          {"rotary_pct", pick_of<double>(random, {0.25, 0.4, 1.0})},
          {"use_parallel_residual", pick(random, 0, 3) != 0},
          {"attention_bias", pick(random, 0, 3) != 0},
          {"hidden_dropout", pick(random, 0, 3) == 0 ? 0.2 : 0.0},
          {"initializer_range", 0.1},
          {"tie_word_embeddings", pick(random, 0, 1) == 0}};
}

Json olmo_config(Random& random) { return llama_sizes(random, "olmo2"); }

Json gemma_config(Random& random) {
  Json config =
      llama_sizes(random, pick_of<std::string>(random, {"gemma", "gemma2", "gemma3_text"}));
  const bool third = config["model_type"] == "gemma3_text";
  config["hidden_act"] = config["hidden_activation"] = "gelu_pytorch_tanh";
  config["pad_token_id"] = 3;
  config["query_pre_attn_scalar"] = pick(random, 2, 9);
  config["sliding_window"] = window(random);
  config["sliding_window_pattern"] = pick(random, 1, 3);
  config["final_logit_softcapping"] = pick(random, 0, 1) == 0 ? Json(2.0) : Json(nullptr);
  if (!third)
    config["attn_logit_softcapping"] = pick(random, 0, 2) == 0 ? Json(nullptr) : Json(1.5);
  return config;
}

// One number, or height and width.
Json image_size(Random& random, std::int64_t height, std::int64_t width) {
  return height == width && pick(random, 0, 1) == 0 ? Json(height) : Json{height, width};
}

Json vit_config(Random& random) {
  const std::int64_t heads = pick_of<std::int64_t>(random, {2, 4, 6, 8}),
                     patch = pick(random, 1, 3);
  const double dropout = pick(random, 0, 3) == 0 ? 0.2 : 0.0;
  return {{"model_type", "vit"},
          {"hidden_size", heads * 4},
          {"num_hidden_layers", pick(random, 1, 4)},
          {"num_attention_heads", heads},
          {"intermediate_size", pick(random, 9, 40)},
          {"num_channels", pick(random, 1, 3)},
          {"image_size", image_size(random, patch * pick(random, 2, 5) + pick(random, 0, patch - 1),
                                    patch * pick(random, 3, 5))},
          {"patch_size", patch},
          {"num_labels", pick(random, 4, 11)},
          {"hidden_dropout_prob", dropout},
          {"attention_probs_dropout_prob", pick(random, 0, 1) == 0 ? dropout : 0.0},
          {"layer_norm_eps", 1e-6},
          {"qkv_bias", pick(random, 0, 3) != 0},
          {"initializer_range", 0.1}};
}

// Grids that are odd, no multiple of the window, or as large as a window in the last stage.
Json swin_config(Random& random) {
  const std::int64_t heads = pick(random, 1, 3), stages = pick(random, 2, 3),
                     window = pick(random, 2, 3);
  const std::int64_t patch = pick(random, 1, 2), smallest = ((window - 1) << (stages - 1)) + 1;
  std::vector<std::int64_t> depths, num_heads;
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    depths.push_back(pick(random, 1, 2));
    num_heads.push_back(heads << stage);
  }
  const auto side = [&] {
    return patch * pick(random, smallest, smallest + 4) - pick(random, 0, patch - 1);
  };
  const std::int64_t height = side(), width = side();
  const bool whole = height % patch + width % patch == 0;
  const double dropout = pick(random, 0, 3) == 0 ? 0.2 : 0.0;
  return {{"model_type", "swin"},
          {"embed_dim", heads * 4},
          {"depths", depths},
          {"num_heads", num_heads},
          {"window_size", window},
          {"image_size", image_size(random, height, width)},
          {"patch_size", patch},
          {"num_channels", pick(random, 1, 3)},
          {"mlp_ratio", pick_of<double>(random, {1.5, 2.0, 3.3})},
          {"num_labels", pick(random, 4, 11)},
          {"hidden_dropout_prob", dropout},
          {"attention_probs_dropout_prob", pick(random, 0, 1) == 0 ? dropout : 0.0},
          {"drop_path_rate", pick_of<double>(random, {0.0, 0.4})},
          {"use_absolute_embeddings", whole && pick(random, 0, 1) == 0},
          {"qkv_bias", pick(random, 0, 3) != 0},
          {"initializer_range", 0.1}};
}

Json bert_config(Random& random) {
  const std::int64_t heads = pick_of<std::int64_t>(random, {2, 4, 6, 8});
  const double dropout = pick(random, 0, 3) == 0 ? 0.2 : 0.0;
  return {{"model_type", "bert"},
          {"vocab_size", pick(random, 17, 61)},
          {"hidden_size", heads * 4},
          {"num_hidden_layers", pick(random, 1, 4)},
          {"num_attention_heads", heads},
          {"intermediate_size", pick(random, 9, 40)},
          {"max_position_embeddings", 32},
          {"type_vocab_size", pick(random, 1, 3)},
          {"pad_token_id", pick(random, 0, 16)},
          {"hidden_dropout_prob", dropout},
          {"attention_probs_dropout_prob", dropout},
          {"initializer_range", 0.1},
          {"tie_word_embeddings", pick(random, 0, 3) != 0}};
}

Json roberta_config(Random& random) {
  Json config = bert_config(random);
  const std::int64_t padding = pick(random, 0, 5);  // tokens of the fuzzer are padding now and then
  config.update({{"model_type", "roberta"},
                 {"pad_token_id", padding},
                 {"max_position_embeddings", 32 + padding + 1}});
  return config;
}

Json distilbert_config(Random& random) {
  const Json bert = bert_config(random);
  return {{"model_type", "distilbert"},
          {"vocab_size", bert["vocab_size"]},
          {"dim", bert["hidden_size"]},
          {"n_layers", bert["num_hidden_layers"]},
          {"n_heads", bert["num_attention_heads"]},
          {"hidden_dim", bert["intermediate_size"]},
          {"max_position_embeddings", 32},
          {"pad_token_id", bert["pad_token_id"]},
          {"dropout", bert["hidden_dropout_prob"]},
          {"attention_dropout", bert["attention_probs_dropout_prob"]},
          {"initializer_range", 0.1},
          {"tie_word_embeddings", bert["tie_word_embeddings"]}};
}

Json deit_config(Random& random) {
  Json config = vit_config(random);
  config["model_type"] = "deit";
  return config;
}

Json t5_config(Random& random) {
  const std::int64_t heads = pick_of<std::int64_t>(random, {2, 4, 6, 8});
  return {{"model_type", pick_of<std::string>(random, {"t5", "t5", "mt5"})},
          {"vocab_size", pick(random, 17, 61)},
          {"d_model", 4 * pick(random, 3, 8)},
          {"d_kv", pick(random, 3, 5)},
          {"d_ff", pick(random, 9, 40)},
          {"num_layers", pick(random, 1, 3)},
          {"num_decoder_layers", pick(random, 1, 3)},
          {"num_heads", heads},
          {"relative_attention_num_buckets", pick_of<std::int64_t>(random, {4, 8, 14})},
          {"relative_attention_max_distance", pick(random, 9, 40)},
          {"feed_forward_proj", pick_of<std::string>(random, {"relu", "gated-gelu", "gated-silu"})},
          {"dropout_rate", pick(random, 0, 3) == 0 ? 0.2 : 0.0},
          {"initializer_factor", pick_of<double>(random, {0.3, 1})},
          {"tie_word_embeddings", pick(random, 0, 2) != 0}};
}

struct FamilyMaker {
  const char* name;
  Json (*config)(Random& random);
  std::int64_t shortest, longest;  // sequence
};

// Targets of T5 are about a fifth as long as the inputs and must still be divided.
const std::vector<FamilyMaker>& makers() {
  static const std::vector<FamilyMaker> all = {{"gpt", gpt_config, 8, 19},
                                               {"llama", llama_config, 8, 19},
                                               {"bert", bert_config, 8, 19},
                                               {"vit", vit_config, 0, 0},
                                               {"swin", swin_config, 0, 0},
                                               {"t5", t5_config, 12, 60},
                                               {"windows", window_config, 8, 19},
                                               {"phi", phi_config, 8, 19},
                                               {"neox", neox_config, 8, 19},
                                               {"olmo", olmo_config, 8, 19},
                                               {"gemma", gemma_config, 8, 19},
                                               {"roberta", roberta_config, 8, 19},
                                               {"distilbert", distilbert_config, 8, 19},
                                               {"deit", deit_config, 0, 0}};
  return all;
}

}  // namespace

std::int64_t pick(Random& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

RandomModel random_model(Random& random, const std::vector<std::string>& families) {
  std::vector<FamilyMaker> allowed;
  for (const FamilyMaker& maker : makers()) {
    const bool named = std::find(families.begin(), families.end(), maker.name) != families.end();
    if (families.empty() || named) allowed.push_back(maker);
  }
  GALV_CHECK(!allowed.empty(), "no family of these names");
  const FamilyMaker maker = pick_of(random, allowed);
  Json config = maker.config(random);
  return {std::move(config), pick(random, maker.shortest, maker.longest)};
}

std::vector<std::string> random_families() {
  std::vector<std::string> names;
  for (const FamilyMaker& maker : makers()) names.emplace_back(maker.name);
  return names;
}

}  // namespace galvatron::testing
