// A model as planning and training see it: one list of layers, each with its shapes and parameters.
// Made from a Hugging Face config.json and nothing else. No torch.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/spec/model_overrides.h"
#include "galvatron/spec/param_spec.h"

namespace galvatron::spec {

enum class Family {
  kGpt,
  kLlama,
  kBert,
  kT5,
  kVit,
  kSwin,
  kPhi,
  kNeox,
  kOlmo,
  kGemma,
  kRoberta,
  kDistilbert,
  kDeit,
};
// kEmbedding: tokens or patches come in. kMerge: Swin's patch merging, between stages of blocks.
enum class LayerKind { kEmbedding, kBlock, kMerge, kHead };
// What the model learns to do, which says what its data are.
enum class Task { kNextToken, kMaskedTokens, kSequenceToSequence, kImageClasses };
enum class Activation { kGelu, kGeluTanh, kRelu, kSilu };
enum class Norm {
  kLayerNorm,
  kRmsNorm,
  kRmsNormPlusOne,  // times 1 + weight (Gemma)
};
// Where the norms of a block lie around its branches f, the attention and the MLP.
enum class NormPlace {
  kBefore,     // x + f(norm(x))
  kBehindSum,  // norm(x + f(x)), BERT
  kBehind,     // x + norm(f(x)), OLMo 2
  kAround,     // x + norm(f(norm(x))), Gemma 2
};
// RMS norm of the queries and keys of a token.
enum class HeadNorm {
  kNone,
  kEach,      // of each head (Qwen3, Gemma 3)
  kTogether,  // of all heads at once (OLMo 2)
};

std::string to_text(Family family);
std::string to_text(LayerKind kind);
std::string to_text(Task task);

// Rotary position embedding. Every variant is a set of inverse frequencies and a scale of cos and
// sin; the numbers are Hugging Face's (modeling_rope_utils), so that weights carry over.
struct RopeSpec {
  // One for each pair of rotary dims: head_size / 2, or fewer where only the first dims of a head
  // are turned (partial rotary).
  std::vector<double> inverse_frequencies;
  double scale = 1;  // of cos and sin (yarn, longrope)
  bool operator==(const RopeSpec&) const = default;
};

// What a layer takes from the data, one tensor of int64 unless said otherwise.
enum class InputKind {
  kTokens,        // [B, T] of the model's sequence
  kTargetTokens,  // [B, T] of the target sequence: what the decoder reads
  kLabels,        // [B, T] of the sequence that the head sees; -100 does not count
  kImages,        // [B, channels, height, width], fp32
  kClasses,       // [B]
  // What data may say beside what layers take, of whole sequences. Without it every sample is one
  // document, whose tokens are numbered from 0.
  kDocuments,        // [B, L]: equal numbers see one another, 0 is padding
  kTargetDocuments,  // [B, L] of the target sequence
  kPositions,        // [B, L]: of a token within its document
  kTokenTypes,  // [B, L]: the segment that a token is of (BERT); without it all are of the first
  // Of images that are mixed of two, fp64 [B, 2]: the class of the other one and its share.
  kSecondClasses,
};

// A grid of tokens, row by row, and Swin's windows over it (Liu et al. 2021). Of a layer that makes
// patches the grid that it makes, of a merge the one that it gets.
struct WindowSpec {
  std::int64_t height = 0, width = 0;  // of the grid
  std::int64_t size = 0;               // of a window, in tokens along one side; 0: no windows
  std::int64_t shift = 0;              // of the windows, in tokens
  bool operator==(const WindowSpec&) const = default;
};

// T5's bias by bucketed distance, one table for all blocks of a stack (Raffel et al. 2020).
struct RelativeBiasSpec {
  std::int64_t num_buckets = 0;  // 0: none
  std::int64_t max_distance = 0;
  bool operator==(const RelativeBiasSpec&) const = default;
};

// Numbers of a Transformer block.
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
  bool learned_positions = true;    // else rotary, or the bias below
  bool causal = true;               // a token sees what lies before it; else all tokens
  std::int64_t sliding_window = 0;  // a token sees so many tokens, itself the last; 0: all
  NormPlace norm_place = NormPlace::kBefore;
  bool parallel_residual = false;  // x + attention(norm(x)) + mlp(norm(x)), GPT-NeoX
  bool cross_attention = false;    // to the second stream, after the self-attention
  HeadNorm head_norm = HeadNorm::kNone;
  RelativeBiasSpec relative_bias;
  WindowSpec window;
  double attention_scale = 0;  // of q.k before the softmax; 0 means 1 / sqrt(head_size)
  // Scores and logits x become cap * tanh(x / cap) (Gemma 2); 0: they stay.
  double attention_softcap = 0;
  double logit_softcap = 0;
  double embedding_scale = 1;    // of the token embeddings
  double embedding_dropout = 0;  // probabilities in [0, 1)
  double attention_dropout = 0;
  double residual_dropout = 0;         // of what the branches add
  bool drops_attention_branch = true;  // else of the MLP's alone (DistilBERT)
  double mlp_dropout = 0;              // of what the MLP's second matrix reads
  RopeSpec rope;                       // empty with learned positions
  bool operator==(const TransformerShape&) const = default;
};

// One tensor that travels from a layer to the next: [samples, length, width].
struct StreamSpec {
  enum class Length { kSequence, kTarget, kFixed };
  Length length_kind = Length::kSequence;
  std::int64_t fixed_length = 0;  // of kFixed
  std::int64_t width = 0;
  // In tokens, where the job's sequences have `seq_length`. kTarget is the length of the targets
  // that span corruption makes of that (span_corruption.h).
  std::int64_t length(std::int64_t seq_length) const;
  bool operator==(const StreamSpec&) const = default;
};

struct LayerSpec {
  LayerKind kind = LayerKind::kBlock;
  std::string name;  // "embedding", "block.0" ..., "head": the prefix of its parameters' names
  std::vector<InputKind> inputs;    // what it takes from the data
  std::vector<StreamSpec> outputs;  // what it hands on; its own sequence first. None of the head
  double drop_path = 0;             // probability with which a sample skips the attention (Swin)
  int type = 0;                     // layers of equal type cost the same: profiles are per type
  TransformerShape shape;
  std::vector<ParamSpec> params;

  std::int64_t num_params() const;
  // Rows that tensor parallelism divides: the vocabulary or the classes. 0 where nothing is.
  std::int64_t vocab_size() const;
  // A matrix that tokens of a block or a merge are multiplied by: no table, no vector, not shared.
  bool is_block_matrix(const ParamSpec& param) const;
  // Full name of a parameter: its tied name, or "block.3.attention.qkv.weight".
  std::string full_name(const ParamSpec& param) const;
};

struct ImageSpec {
  std::int64_t channels = 0, height = 0, width = 0;
  std::int64_t num_classes = 0;
};

// `max_positions` of a model that sets no limit: T5, whose far distances share one bucket.
constexpr std::int64_t kAnyLength = 1 << 30;

struct ModelSpec {
  // Preset name or folder name, recorded in plans and profiles: "llama2-7b",
  // "llama2-7b(num_layers=48)".
  std::string name;
  Family family = Family::kGpt;
  Task task = Task::kNextToken;
  std::int64_t vocab_size = 0;        // of token models
  std::int64_t max_positions = 0;     // longest sequence that the model allows
  std::int64_t fixed_seq_length = 0;  // of image models: the tokens of an image; else 0
  ImageSpec image;                    // of image models
  bool tied_embeddings = false;
  // Reading this token teaches its embedding nothing (transformers' padding_idx); -1: there is
  // none.
  std::int64_t padding_token = -1;
  // Positions count the tokens that are no padding, and begin behind padding_token's row of their
  // table (RoBERTa).
  bool positions_skip_padding = false;
  std::int64_t num_token_types = 0;  // segments that a text may have; 0: it has none
  double output_scale = 1;        // of what the output projection reads (T5 with tied embeddings)
  std::vector<LayerSpec> layers;  // embedding, blocks, head
  Json config;                    // the config.json as read

  int num_layers() const { return static_cast<int>(layers.size()); }
  const LayerSpec& layer(int index) const { return layers[static_cast<std::size_t>(index)]; }
  int num_blocks() const;
  const LayerSpec& first_block() const;
  // Streams that come into a layer: what the one before hands on.
  const std::vector<StreamSpec>& inputs_of(int index) const;
  // Streams that a layer works on, its own sequence first: those that it makes; the head's, those
  // that it gets.
  const std::vector<StreamSpec>& streams_of(int index) const;
  // Tokens of the shortest stream that comes into a layer or leaves it, for sequences of
  // `seq_length` tokens. With 0, which is not known yet, only fixed lengths count; without one, the
  // largest number there is.
  std::int64_t shortest_sequence(int index, std::int64_t seq_length) const;
  bool limits_length() const { return max_positions < kAnyLength; }
  // The length that a job's sequences have: the fixed one, or `wish`, or without one (0) the
  // longest that the model allows, at most `usual`.
  std::int64_t choose_seq_length(std::int64_t wish, std::int64_t usual) const;
  // Layers that share a parameter which tensor parallelism divides: their tp_degree and zero_stage
  // must be equal. Empty without one. (A small tied parameter that is whole on every rank, such as
  // T5's relative bias, binds nothing: it is never sharded.)
  std::vector<int> tied_layers() const;
  std::int64_t num_params() const;  // tied parameters once
  // Names of the layer types, by LayerSpec::type: "embedding", "block", "head".
  std::vector<std::string> type_names() const;
  std::vector<std::string> layer_names() const;  // LayerSpec::name of each
  // Index of the first layer of a type.
  int first_layer_of_type(int type) const;
};

// `model` is a preset name ("gpt2-1.5b": configs/models/gpt2-1.5b.json), a config.json, or a folder
// that holds one; `overrides` are written into its config before it is read, and its name says
// them. ConfigError for a missing file, an unknown family, a feature that changes the result and
// that we do not have.
ModelSpec load_model(const std::string& model, const ModelOverrides& overrides = {});
// The same from a parsed config; `name` is recorded and appears in errors.
ModelSpec model_from_config(const Json& config, const std::string& name,
                            const ModelOverrides& overrides = {});
// The preset names, sorted.
std::vector<std::string> preset_names();
// Where configs/ lies: $GALVATRON_CONFIGS, else beside the binary or in the source tree it was
// built from.
std::filesystem::path configs_directory();

// Keys that a query of a sequence of `length` tokens meets on average: of causal attention half of
// them, less in windows.
double keys_seen(const TransformerShape& shape, double length);

// Forward floating-point operations of a layer for one sample of `seq_length` tokens; a
// multiply-add is two. Attention counts the causal half of the score matrix, as Megatron-LM does.
// The backward is twice this.
double forward_flops(const LayerSpec& layer, const ModelSpec& model, std::int64_t seq_length);
double forward_flops(const ModelSpec& model, std::int64_t seq_length);

}  // namespace galvatron::spec
