// A model as planning and training see it: one list of layers, each with its shapes and parameters.
// Made from a Hugging Face config.json and nothing else. No torch.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/param_spec.h"

namespace galvatron::spec {

enum class Family { kGpt, kLlama };
enum class LayerKind { kEmbedding, kBlock, kHead };
enum class Activation { kGelu, kGeluTanh, kRelu, kSilu };
enum class Norm { kLayerNorm, kRmsNorm };

std::string to_text(Family family);
std::string to_text(LayerKind kind);

// Rotary position embedding. Every variant is a set of inverse frequencies and a scale of cos and
// sin; the numbers are Hugging Face's (modeling_rope_utils), so that weights carry over.
struct RopeSpec {
  std::vector<double> inverse_frequencies;  // head_size / 2 entries (rotary dims)
  double scale = 1;                         // of cos and sin (yarn, longrope)
  bool operator==(const RopeSpec&) const = default;
};

// Numbers of a Transformer block of the decoder-only families.
struct TransformerShape {
  std::int64_t hidden_size = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;  // divides num_heads; equal to it without grouped-query attention
  std::int64_t head_size = 0;
  std::int64_t intermediate_size = 0;
  bool gated_mlp = false;  // act(gate) * up instead of act(up)
  Activation activation = Activation::kGeluTanh;
  Norm norm = Norm::kLayerNorm;
  double norm_epsilon = 1e-5;
  bool qkv_bias = true;
  bool attention_output_bias = true;
  bool mlp_bias = true;
  bool learned_positions = true;  // else rotary
  double attention_scale = 0;     // of q.k before the softmax; 0 means 1 / sqrt(head_size)
  double embedding_dropout = 0;   // probabilities in [0, 1)
  double attention_dropout = 0;
  double residual_dropout = 0;
  RopeSpec rope;  // empty with learned positions
  bool operator==(const TransformerShape&) const = default;
};

struct LayerSpec {
  LayerKind kind = LayerKind::kBlock;
  std::string name;  // "embedding", "block.0" ..., "head": the prefix of its parameters' names
  int type = 0;      // layers of equal type cost the same: profiles are per type
  TransformerShape shape;
  std::vector<ParamSpec> params;

  std::int64_t num_params() const;
  // Full name of a parameter: its tied name, or "block.3.attention.qkv.weight".
  std::string full_name(const ParamSpec& param) const;
};

struct ModelSpec {
  std::string name;  // preset name or folder name, recorded in plans and profiles
  Family family = Family::kGpt;
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;  // longest sequence that the model allows
  bool tied_embeddings = false;
  std::vector<LayerSpec> layers;  // embedding, blocks, head
  Json config;                    // the config.json as read

  int num_layers() const { return static_cast<int>(layers.size()); }
  int num_blocks() const { return num_layers() - 2; }
  std::int64_t num_params() const;  // tied parameters once
  // Names of the layer types, by LayerSpec::type: "embedding", "block", "head".
  std::vector<std::string> type_names() const;
  // Index of the first layer of a type.
  int first_layer_of_type(int type) const;
};

// `model` is a preset name ("gpt2-1.5b": configs/models/gpt2-1.5b.json), a config.json, or a folder
// that holds one. ConfigError for a missing file, an unknown family, a feature that changes the
// result and that we do not have.
ModelSpec load_model(const std::string& model);
// The same from a parsed config; `name` is recorded and appears in errors.
ModelSpec model_from_config(const Json& config, const std::string& name);
// The preset names, sorted.
std::vector<std::string> preset_names();
// Where configs/ lies: $GALVATRON_CONFIGS, else beside the binary or in the source tree it was
// built from.
std::filesystem::path configs_directory();

// Forward floating-point operations of a layer for one sample of `seq_length` tokens; a
// multiply-add is two. Attention counts the causal half of the score matrix, as Megatron-LM does.
// The backward is twice this.
double forward_flops(const LayerSpec& layer, const ModelSpec& model, std::int64_t seq_length);
double forward_flops(const ModelSpec& model, std::int64_t seq_length);

}  // namespace galvatron::spec
