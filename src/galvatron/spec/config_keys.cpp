#include "galvatron/spec/config_keys.h"

#include "galvatron/base/error.h"

namespace galvatron::spec {
namespace {

constexpr const char* kOwnKeysAndValues = "every head has keys and values of its own";
constexpr const char* kDividedWidth = "it is hidden_size / num_heads";
constexpr const char* kNoPositions = "its sequences may be as long as one likes";
constexpr const char* kPatches = "they are the patches of an image; change image_size in a config";
constexpr const char* kClasses = "it learns classes of images; change num_labels in a config";
constexpr const char* kStages =
    "it has one for each stage; change depths and num_heads in a config";
constexpr const char* kMlpRatio =
    "it follows the width of each stage; change mlp_ratio in a config";

const ConfigKeys kGptKeys = {
    .num_layers = {{"n_layer"}},
    .hidden_size = {{"n_embd"}},
    .num_heads = {{"n_head"}},
    .num_kv_heads = {{}, kOwnKeysAndValues},
    .head_size = {{}, kDividedWidth},
    .intermediate_size = {{"n_inner"}},
    .vocab_size = {{"vocab_size"}},
    .max_positions = {{"n_positions"}},
};
const ConfigKeys kLlamaKeys = {
    .num_layers = {{"num_hidden_layers"}},
    .hidden_size = {{"hidden_size"}},
    .num_heads = {{"num_attention_heads"}},
    .num_kv_heads = {{"num_key_value_heads"}},
    .head_size = {{"head_dim"}},
    .intermediate_size = {{"intermediate_size"}},
    .vocab_size = {{"vocab_size"}},
    .max_positions = {{"max_position_embeddings"}},
};
// Of GPT-NeoX, too.
const ConfigKeys kBertKeys = {
    .num_layers = {{"num_hidden_layers"}},
    .hidden_size = {{"hidden_size"}},
    .num_heads = {{"num_attention_heads"}},
    .num_kv_heads = {{}, kOwnKeysAndValues},
    .head_size = {{}, kDividedWidth},
    .intermediate_size = {{"intermediate_size"}},
    .vocab_size = {{"vocab_size"}},
    .max_positions = {{"max_position_embeddings"}},
};
const ConfigKeys kDistilbertKeys = {
    .num_layers = {{"n_layers"}},
    .hidden_size = {{"dim"}},
    .num_heads = {{"n_heads"}},
    .num_kv_heads = {{}, kOwnKeysAndValues},
    .head_size = {{}, kDividedWidth},
    .intermediate_size = {{"hidden_dim"}},
    .vocab_size = {{"vocab_size"}},
    .max_positions = {{"max_position_embeddings"}},
};
const ConfigKeys kRobertaKeys = [] {
  ConfigKeys out = kBertKeys;
  out.max_positions = {{},
                       "padding takes some of them; change max_position_embeddings in a config"};
  return out;
}();
const ConfigKeys kT5Keys = {
    .num_layers = {{"num_layers", "num_decoder_layers"}},
    .hidden_size = {{"d_model"}},
    .num_heads = {{"num_heads"}},
    .num_kv_heads = {{}, kOwnKeysAndValues},
    .head_size = {{"d_kv"}},
    .intermediate_size = {{"d_ff"}},
    .vocab_size = {{"vocab_size"}},
    .max_positions = {{}, kNoPositions},
};
const ConfigKeys kVitKeys = {
    .num_layers = {{"num_hidden_layers"}},
    .hidden_size = {{"hidden_size"}},
    .num_heads = {{"num_attention_heads"}},
    .num_kv_heads = {{}, kOwnKeysAndValues},
    .head_size = {{"head_dim"}},
    .intermediate_size = {{"intermediate_size"}},
    .vocab_size = {{}, kClasses},
    .max_positions = {{}, kPatches},
};
const ConfigKeys kSwinKeys = {
    .num_layers = {{}, kStages},
    .hidden_size = {{"embed_dim"}},
    .num_heads = {{}, kStages},
    .num_kv_heads = {{}, kOwnKeysAndValues},
    .head_size = {{}, kDividedWidth},
    .intermediate_size = {{}, kMlpRatio},
    .vocab_size = {{}, kClasses},
    .max_positions = {{}, kPatches},
};

}  // namespace

const ConfigKeys& config_keys(Family family) {
  switch (family) {
    case Family::kGpt:
      return kGptKeys;
    case Family::kLlama:
    case Family::kPhi:
    case Family::kOlmo:
    case Family::kGemma:
      return kLlamaKeys;
    case Family::kBert:
    case Family::kNeox:
      return kBertKeys;
    case Family::kT5:
      return kT5Keys;
    case Family::kRoberta:
      return kRobertaKeys;
    case Family::kDistilbert:
      return kDistilbertKeys;
    case Family::kDeit:
    case Family::kVit:
      return kVitKeys;
    case Family::kSwin:
      return kSwinKeys;
  }
  GALV_CHECK(false, "a family without keys");
  return kGptKeys;
}

}  // namespace galvatron::spec
