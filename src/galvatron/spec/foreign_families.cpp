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

// `nearest`: a model_type of ours; empty: none is near.
struct ForeignFamily {
  std::string_view model_type, nearest, why;
};

constexpr std::string_view kExperts = "its layers have experts";
constexpr std::string_view kSideBySide =
    "attention and MLP of a layer run side by side, not one behind the other";
constexpr std::string_view kAlibi = "attention has linear biases (ALiBi) in the place of positions";
constexpr std::string_view kRecurrent = "its layers are recurrent, not attention";
constexpr std::string_view kSeveralMedia = "it reads pictures or sound beside text";
constexpr std::string_view kUntried = "nobody has compared its numbers with those of transformers";
constexpr std::string_view kNeighbours = "neighbours in a head are rotated together";
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
    ForeignFamily{"olmoe", "olmo2", kExperts},
    ForeignFamily{"granitemoe", "llama", kExperts},
    ForeignFamily{"phimoe", "phi3", kExperts},
    ForeignFamily{"switch_transformers", "t5", kExperts},
    ForeignFamily{"gemma3", "gemma3_text", kSeveralMedia},
    ForeignFamily{"gemma3n", "gemma3_text", kSeveralMedia},
    ForeignFamily{"gemma4", "gemma3_text", kSeveralMedia},
    ForeignFamily{"olmo3", "olmo2", kUntried},
    ForeignFamily{"gpt_neox_japanese", "gpt_neox", kUntried},
    ForeignFamily{"ministral", "mistral", kUntried},
    ForeignFamily{"roberta-prelayernorm", "roberta", "norms stand before attention and MLP"},
    ForeignFamily{"phi4_multimodal", "phi3", kSeveralMedia},
    ForeignFamily{"falcon", "gpt_neox", "queries, keys and values lie in groups in one tensor"},
    ForeignFamily{"phi", "gpt_neox", "attention and MLP of a layer share one norm"},
    ForeignFamily{"cohere", "llama", kSideBySide},
    ForeignFamily{"cohere2", "llama", kSideBySide},
    ForeignFamily{"stablelm", "gpt_neox",
                  "norms are LayerNorm, and only a part of a head is rotated"},
    ForeignFamily{"starcoder2", "llama", "norms are LayerNorm, and the MLP has no gate"},
    ForeignFamily{"olmo", "olmo2", "norms have no weights"},
    ForeignFamily{"granite", "llama", "embeddings, residuals and logits are scaled"},
    ForeignFamily{"smollm3", "llama", "some of its layers have no positions"},
    ForeignFamily{"glm", "llama", kNeighbours},
    ForeignFamily{"glm4", "llama", kNeighbours},
    ForeignFamily{"gptj", "gpt_neox", kNeighbours},
    ForeignFamily{"codegen", "gpt_neox", kNeighbours},
    ForeignFamily{"gpt_neo", "gpt2",
                  "every other layer sees a window only, and scores are not scaled"},
    ForeignFamily{"gpt_bigcode", "gpt2", "all heads share one key and value"},
    ForeignFamily{"openai-gpt", "gpt2", "norms stand behind the sums"},
    ForeignFamily{"opt", "gpt2", "its positions begin at 2, and its weights have other names"},
    ForeignFamily{"bloom", "gpt2", kAlibi},
    ForeignFamily{"mpt", "gpt2", kAlibi},
    ForeignFamily{"xlm-roberta", "roberta", kUntried},
    ForeignFamily{"camembert", "roberta", kUntried},
    ForeignFamily{"albert", "bert", "all its layers share one set of weights"},
    ForeignFamily{"electra", "bert", "it learns which tokens were replaced, not masked ones"},
    ForeignFamily{"deberta", "bert", "attention has relative positions of its own kind"},
    ForeignFamily{"deberta-v2", "bert", "attention has relative positions of its own kind"},
    ForeignFamily{"modernbert", "bert", "positions are rotary, and norms stand before attention"},
    ForeignFamily{"bart", "t5", kOtherPositions},
    ForeignFamily{"mbart", "t5", kOtherPositions},
    ForeignFamily{"pegasus", "t5", kOtherPositions},
    ForeignFamily{"marian", "t5", kOtherPositions},
    ForeignFamily{"umt5", "mt5", "every layer has relative positions of its own"},
    ForeignFamily{"longt5", "t5", "its encoder attends to parts of the text"},
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
  if (is_set(config, "is_encoder_decoder") || is_set(config, "d_kv")) return {"", "t5", kUnknown};
  if (is_set(config, "image_size")) return {"", "vit", kUnknown};
  if (is_set(config, "rms_norm_eps") || is_set(config, "num_key_value_heads"))
    return {"", "llama", kUnknown};
  if (is_set(config, "type_vocab_size")) return {"", "bert", kUnknown};
  if (is_set(config, "n_embd")) return {"", "gpt2", kUnknown};
  return {};
}

std::string why_not(const ForeignFamily& family) {
  const std::string sentence = fmt::format(": {}", family.why);
  if (family.nearest.empty()) return sentence;
  return fmt::format("{}; the nearest family that works is {}", sentence, family.nearest);
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

std::string likely_type_hint(const Json& config) {
  const std::string_view nearest = guess_family(config).nearest;
  if (nearest.empty()) return ": is it the config.json of a model?";
  return fmt::format(": add it, such as \"model_type\": \"{}\", which has keys like these",
                     nearest);
}

std::string foreign_name_hint(const std::string& name) {
  const std::string last = lower_case(name.substr(name.rfind('/') + 1));
  const ForeignFamily* best = nullptr;
  for (const ForeignFamily& family : kFamilies) {
    if (!begins_with_family(last, family.model_type)) continue;
    if (best == nullptr || family.model_type.size() > best->model_type.size()) best = &family;
  }
  if (best == nullptr) return "";
  // "olmo-2-7b" begins with "olmo" too.
  for (const std::string& ours : model_type_names()) {
    if (ours.size() > best->model_type.size() && begins_with_family(last, ours)) return "";
  }
  return fmt::format("; {} models are not supported{}", best->model_type, why_not(*best));
}

std::vector<std::pair<std::string, std::string>> foreign_families() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const ForeignFamily& family : kFamilies) out.emplace_back(family.model_type, family.nearest);
  return out;
}

}  // namespace galvatron::spec
