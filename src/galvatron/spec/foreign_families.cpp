#include "galvatron/spec/foreign_families.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/option.h"
#include "galvatron/spec/families.h"

namespace galvatron::spec {
namespace {

// `nearest`: model_types, the first of ours is meant; empty: none is near.
struct ForeignFamily {
  std::string_view model_type, nearest, why;
};

constexpr std::string_view kExperts = "its layers have experts";
constexpr std::string_view kSideBySide =
    "attention and MLP of a layer run side by side, not one behind the other";
constexpr std::string_view kAlibi = "attention has linear biases (ALiBi) in the place of positions";
constexpr std::string_view kRecurrent = "its layers are recurrent, not attention";
constexpr std::string_view kSeveralMedia = "it reads pictures or sound beside text";
constexpr std::string_view kScaledNorms =
    "embeddings are scaled, and norms multiply by one plus their weight";
constexpr std::string_view kRobertaPositions = "its positions begin behind the padding token's id";
constexpr std::string_view kOtherPositions =
    "it has absolute positions, and norms behind the sums, with biases";

constexpr std::array kFamilies = {
    ForeignFamily{"mixtral", "mistral", kExperts},
    ForeignFamily{"qwen2_moe", "qwen2", kExperts},
    ForeignFamily{"qwen3_moe", "qwen3", kExperts},
    ForeignFamily{"deepseek_v2", "llama", "attention is latent (MLA), and its layers have experts"},
    ForeignFamily{"deepseek_v3", "llama", "attention is latent (MLA), and its layers have experts"},
    ForeignFamily{"gpt_oss", "llama", "attention has sinks, and its layers have experts"},
    ForeignFamily{"llama4", "llama", kExperts},
    ForeignFamily{"dbrx", "llama", kExperts},
    ForeignFamily{"olmoe", "olmo2,llama", kExperts},
    ForeignFamily{"granitemoe", "llama", kExperts},
    ForeignFamily{"phimoe", "phi3,llama", kExperts},
    ForeignFamily{"switch_transformers", "t5", kExperts},
    ForeignFamily{"gemma", "llama", kScaledNorms},
    ForeignFamily{"gemma2", "llama", kScaledNorms},
    ForeignFamily{"gemma3", "gemma3_text,llama", kSeveralMedia},
    ForeignFamily{"gemma3_text", "llama", kScaledNorms},
    ForeignFamily{"gemma3n", "gemma3_text,llama", kSeveralMedia},
    ForeignFamily{"gemma4", "gemma3_text,llama", kSeveralMedia},
    ForeignFamily{"olmo3", "olmo2,llama", "some of its layers see a window only"},
    ForeignFamily{"falcon", "llama", kSideBySide},
    ForeignFamily{"phi", "phi3,llama", kSideBySide},
    ForeignFamily{"cohere", "llama", kSideBySide},
    ForeignFamily{"cohere2", "llama", kSideBySide},
    ForeignFamily{"phi3", "llama", "its weights of query, key and value lie in one tensor"},
    ForeignFamily{"stablelm", "gpt_neox,llama",
                  "norms are LayerNorm, and only a part of a head is rotated"},
    ForeignFamily{"starcoder2", "llama", "norms are LayerNorm, and the MLP has no gate"},
    ForeignFamily{"olmo", "olmo2,llama", "norms have no weights"},
    ForeignFamily{"olmo2", "llama", "norms stand behind attention and MLP"},
    ForeignFamily{"granite", "llama", "embeddings, residuals and logits are scaled"},
    ForeignFamily{"smollm3", "llama", "some of its layers have no positions"},
    ForeignFamily{"glm", "llama", "only a part of a head is rotated"},
    ForeignFamily{"glm4", "llama", "only a part of a head is rotated"},
    ForeignFamily{"gpt_neox", "gpt2", kSideBySide},
    ForeignFamily{"gptj", "gpt_neox,gpt2", kSideBySide},
    ForeignFamily{"codegen", "gpt_neox,gpt2", kSideBySide},
    ForeignFamily{"gpt_neo", "gpt2", "every other layer sees a window only"},
    ForeignFamily{"gpt_bigcode", "gpt2", "all heads share one key and value"},
    ForeignFamily{"openai-gpt", "gpt2", "norms stand behind the sums"},
    ForeignFamily{"opt", "gpt2", "its positions begin at 2, and its weights have other names"},
    ForeignFamily{"bloom", "gpt2", kAlibi},
    ForeignFamily{"mpt", "gpt2", kAlibi},
    ForeignFamily{"roberta", "bert", kRobertaPositions},
    ForeignFamily{"xlm-roberta", "roberta,bert", kRobertaPositions},
    ForeignFamily{"camembert", "roberta,bert", kRobertaPositions},
    ForeignFamily{"distilbert", "bert", "it has no token types, and its weights have other names"},
    ForeignFamily{"albert", "bert", "all its layers share one set of weights"},
    ForeignFamily{"electra", "bert", "it learns which tokens were replaced, not masked ones"},
    ForeignFamily{"deberta", "bert", "attention has relative positions of its own kind"},
    ForeignFamily{"deberta-v2", "bert", "attention has relative positions of its own kind"},
    ForeignFamily{"modernbert", "bert", "positions are rotary, and norms stand before attention"},
    ForeignFamily{"bart", "t5", kOtherPositions},
    ForeignFamily{"mbart", "t5", kOtherPositions},
    ForeignFamily{"pegasus", "t5", kOtherPositions},
    ForeignFamily{"marian", "t5", kOtherPositions},
    ForeignFamily{"mt5", "t5", "nobody has compared its numbers with those of transformers"},
    ForeignFamily{"umt5", "mt5,t5", "every layer has relative positions of its own"},
    ForeignFamily{"longt5", "t5", "its encoder attends to parts of the text"},
    ForeignFamily{"deit", "vit", "it has a second class token, for distillation"},
    ForeignFamily{"beit", "vit", "attention has relative positions"},
    ForeignFamily{"dinov2", "vit", "its residuals are scaled by learned weights"},
    ForeignFamily{"swinv2", "swin", "attention is by cosine, and norms stand behind"},
    ForeignFamily{"mamba", "", kRecurrent},
    ForeignFamily{"mamba2", "", kRecurrent},
    ForeignFamily{"rwkv", "", kRecurrent},
    ForeignFamily{"recurrent_gemma", "", kRecurrent},
    ForeignFamily{"jamba", "", "some of its layers are recurrent, and some have experts"},
    ForeignFamily{"convnext", "swin", "its layers are convolutions"},
    ForeignFamily{"whisper", "t5", kSeveralMedia},
    ForeignFamily{"clip", "vit", kSeveralMedia},
    ForeignFamily{"llava", "llama", kSeveralMedia},
    ForeignFamily{"qwen2_vl", "qwen2", kSeveralMedia},
    ForeignFamily{"qwen2_5_vl", "qwen2", kSeveralMedia},
};

bool is_set(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && !found->is_null() && *found != false;
}

// Of a type that nobody has told us about.
ForeignFamily guess_family(const Json& config) {
  for (const char* key : {"num_local_experts", "num_experts", "n_routed_experts"}) {
    if (is_set(config, key)) return {"", "llama", kExperts};
  }
  constexpr std::string_view kUnknown = "nobody has told us what its layers are";
  if (is_set(config, "is_encoder_decoder")) return {"", "t5", kUnknown};
  if (is_set(config, "image_size")) return {"", "vit", kUnknown};
  if (is_set(config, "rms_norm_eps") || is_set(config, "num_key_value_heads"))
    return {"", "llama", kUnknown};
  if (is_set(config, "type_vocab_size")) return {"", "bert", kUnknown};
  if (is_set(config, "n_embd")) return {"", "gpt2", kUnknown};
  return {};
}

std::string nearest_of(const ForeignFamily& family) {
  for (const std::string& type : split_list(std::string(family.nearest))) {
    if (is_model_type(type)) return type;
  }
  return "";
}

std::string why_not(const ForeignFamily& family) {
  const std::string nearest = nearest_of(family);
  return fmt::format(": {}", family.why) +
         (nearest.empty() ? "" : "; the nearest family that works is " + nearest);
}

// "falcon-7b" of "falcon", "gpt-neox-20b" of "gpt_neox", but no "optimus" of "opt".
bool begins_with_family(const std::string& name, std::string_view family) {
  std::size_t at = 0;
  for (const char c : family) {
    if (c == '_' || c == '-') continue;
    while (at < name.size() && (name[at] == '-' || name[at] == '_')) ++at;
    if (at == name.size() || name[at++] != c) return false;
  }
  return at == name.size() || !std::isalpha(static_cast<unsigned char>(name[at]));
}

}  // namespace

std::string foreign_family_hint(const std::string& model_type, const Json& config) {
  const auto found =
      std::find_if(kFamilies.begin(), kFamilies.end(),
                   [&](const ForeignFamily& one) { return one.model_type == model_type; });
  const ForeignFamily family = found == kFamilies.end() ? guess_family(config) : *found;
  return family.why.empty() ? "" : why_not(family);
}

std::string foreign_name_hint(const std::string& name) {
  const std::string last = lower_case(name.substr(name.rfind('/') + 1));
  const ForeignFamily* best = nullptr;
  for (const ForeignFamily& family : kFamilies) {
    const bool is_ours = is_model_type(std::string(family.model_type));
    if (is_ours || !begins_with_family(last, family.model_type)) continue;
    if (best == nullptr || family.model_type.size() > best->model_type.size()) best = &family;
  }
  if (best == nullptr) return "";
  return fmt::format("; {} models are not supported{}", best->model_type, why_not(*best));
}

}  // namespace galvatron::spec
