// What the decoder-only families have in common once their config.json is understood: the numbers
// from which the list of layers is made. One reader per family; one maker of layers.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

struct DecoderConfig {
  Family family = Family::kGpt;
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;
  bool tied_embeddings = false;
  std::int64_t padding_token = -1;  // as ModelSpec's
  TransformerShape shape;           // of embedding and head
  std::vector<TransformerShape> blocks;
  double init_stddev = 0;
  // Of the projections that write to the residual stream (attention.output, mlp.down).
  double residual_init_stddev = 0;
};

ModelSpec decoder_model(const DecoderConfig& config);

// `source` names the config in errors. ConfigError for values that are impossible and for features
// that change the result and that we do not have. Absent keys take transformers' defaults.
DecoderConfig read_gpt_config(const Json& config, const std::string& source);
// model_type llama, mistral, qwen2 and qwen3.
DecoderConfig read_llama_config(const Json& config, const std::string& source);
DecoderConfig read_phi_config(const Json& config, const std::string& source);
DecoderConfig read_neox_config(const Json& config, const std::string& source);
DecoderConfig read_olmo_config(const Json& config, const std::string& source);
// model_type gemma, gemma2 and gemma3_text.
DecoderConfig read_gemma_config(const Json& config, const std::string& source);

// Embedding, blocks, head; see README.md for the names of the parameters.
std::vector<LayerSpec> decoder_layers(const DecoderConfig& config);

// --- what the readers share ---

// Absent keys of a family: numbers of its 7B model, most often.
struct DecoderDefaults {
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_size = 4096;
  std::int64_t intermediate_size = 11008;
  std::int64_t num_layers = 32;
  std::int64_t num_heads = 32;
  std::int64_t num_kv_heads = 0;  // 0: as many as heads
  std::int64_t head_size = 0;     // 0: hidden size / heads
  std::int64_t max_positions = 2048;
  bool tied_embeddings = false;
  const char* activation_key = "hidden_act";
  const char* activation = "silu";
  const char* norm_key = "rms_norm_eps";
  double norm_epsilon = 1e-6;
};

// LLaMA's keys, which most families write: sizes, heads, activation, norm. Without biases and with
// RMS norm; every block is alike.
DecoderConfig read_common_config(const Json& json, JsonReader& reader,
                                 const DecoderDefaults& defaults);

// `sliding_window`, 0 where the config says null.
std::int64_t read_window(const Json& json, JsonReader& reader, std::int64_t fallback);

// For each block whether it sees through the window: `layer_types`, else what `usual` says.
std::vector<bool> read_sliding_blocks(JsonReader& reader, std::int64_t num_blocks,
                                      const std::function<bool(std::int64_t)>& usual);

// The same rotary embedding for embedding, blocks and head.
void set_rope(DecoderConfig& config, const RopeSpec& rope);

}  // namespace galvatron::spec
