#include "galvatron/models/hf_weights.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::models {
namespace {

// A parameter's row in a family's table, and what follows its names: "attention.qkv.weight" is leaf
// ".weight" of module "attention.qkv"; a parameter that has a row of its own is all of it.
struct ModuleLeaf {
  const HfModule* module = nullptr;
  std::string leaf;
};

ModuleLeaf module_of(const std::vector<HfModule>& modules, const std::string& name) {
  const std::size_t dot = std::min(name.rfind('.'), name.size());
  const auto find = [&](const std::string& ours) {
    return std::find_if(modules.begin(), modules.end(),
                        [&](const HfModule& candidate) { return candidate.ours == ours; });
  };
  if (const auto whole = find(name); whole != modules.end()) return {&*whole, ""};
  const auto it = find(name.substr(0, dot));
  GALV_CHECK(it != modules.end(), "no Hugging Face name for ", name);
  return {&*it, name.substr(dot)};
}

std::vector<Range> segment_ranges(const spec::ParamSpec& param, std::size_t num_parts) {
  const auto dim = static_cast<std::size_t>(std::max(param.split.dim, 0));
  if (num_parts == 1) return {{0, param.shape[dim]}};
  GALV_CHECK(param.split.segments.size() == num_parts, param.name, " has ",
             param.split.segments.size(), " segments, its Hugging Face tensors are ", num_parts);
  std::vector<Range> ranges;
  std::int64_t begin = 0;
  for (const std::int64_t length : param.split.segments) {
    ranges.push_back({begin, begin + length});
    begin += length;
  }
  return ranges;
}

}  // namespace

std::vector<HfTensor> hf_tensors_of(const spec::ParamSpec& param,
                                    const std::vector<HfModule>& modules, const HfPath& path) {
  const auto [found, leaf] = module_of(modules, param.name);
  const HfModule& module = *found;
  const std::vector<Range> ranges = segment_ranges(param, module.theirs.size());
  const auto dim = static_cast<std::size_t>(std::max(param.split.dim, 0));
  std::vector<HfTensor> tensors;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    HfTensor tensor;
    const std::string name = path.path + module.theirs[i] + leaf;
    tensor.names = {path.prefix + name};
    if (!path.prefix.empty()) tensor.names.push_back(name);
    tensor.shape = param.shape;
    tensor.shape[dim] = ranges[i].size();
    tensor.range = ranges[i];
    tensor.transposed = module.transposed && param.shape.size() == 2;
    if (tensor.transposed) std::swap(tensor.shape[0], tensor.shape[1]);
    if (module.interleaved) {
      tensor.interleaved_segments = static_cast<std::int64_t>(param.split.segments.size());
      tensor.head_size = param.split.unit;
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

at::Tensor to_hf(const HfTensor& tensor, const spec::ParamSpec& param, const at::Tensor& whole) {
  const at::Tensor part =
      whole.narrow(std::max(param.split.dim, 0), tensor.range.begin, tensor.range.size());
  if (tensor.interleaved_segments > 1) {
    return part.unflatten(0, {tensor.interleaved_segments, -1, tensor.head_size})
        .transpose(0, 1)
        .flatten(0, 2);
  }
  return tensor.transposed ? part.t() : part;
}

at::Tensor from_hf(const HfTensor& tensor, const at::Tensor& stored) {
  if (tensor.interleaved_segments > 1) {
    return stored.unflatten(0, {-1, tensor.interleaved_segments, tensor.head_size})
        .transpose(0, 1)
        .flatten(0, 2);
  }
  return tensor.transposed ? stored.t() : stored;
}

bool is_hf_buffer(const std::string& name) {
  static constexpr std::array<std::string_view, 13> kSuffixes = {
      ".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq", "position_ids",
      // BERT's pooler and next-sentence head, which masked-token training has no use for.
      "pooler.dense.weight", "pooler.dense.bias", "cls.seq_relationship.weight",
      "cls.seq_relationship.bias",
      // What a teacher of DeiT is asked by.
      "distillation_classifier.weight", "distillation_classifier.bias",
      // Early T5 checkpoints carry a bias that no version of the model reads.
      "EncDecAttention.relative_attention_bias.weight",
      // Swin's index tables.
      ".relative_position_index",
      // In the place of patches that were hidden before.
      "embeddings.mask_token"};
  return std::any_of(kSuffixes.begin(), kSuffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

std::string hf_architecture(const spec::ModelSpec& model) {
  static const std::map<std::string, std::string> kArchitectures = {
      {"gpt2", "GPT2LMHeadModel"},
      {"llama", "LlamaForCausalLM"},
      {"mistral", "MistralForCausalLM"},
      {"qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "Qwen3ForCausalLM"},
      {"phi3", "Phi3ForCausalLM"},
      {"gpt_neox", "GPTNeoXForCausalLM"},
      {"olmo2", "Olmo2ForCausalLM"},
      {"gemma", "GemmaForCausalLM"},
      {"gemma2", "Gemma2ForCausalLM"},
      {"gemma3_text", "Gemma3ForCausalLM"},
      {"vit", "ViTForImageClassification"},
      {"swin", "SwinForImageClassification"},
      {"bert", "BertForMaskedLM"},
      {"roberta", "RobertaForMaskedLM"},
      {"distilbert", "DistilBertForMaskedLM"},
      {"deit", "DeiTForImageClassification"},
      {"mt5", "MT5ForConditionalGeneration"},
      {"t5", "T5ForConditionalGeneration"}};
  const std::string type = model.config.at("model_type").get<std::string>();
  const auto it = kArchitectures.find(type);
  GALV_CHECK(it != kArchitectures.end(), "no architecture for model_type ", type);
  return it->second;
}

}  // namespace galvatron::models
