#include "galvatron/models/bert/hf_weights.h"

#include "galvatron/base/error.h"

namespace galvatron::models {
namespace {

using Modules = std::vector<HfModule>;

const Modules& embedding_modules() {
  static const Modules kModules = {{"tokens", {"embeddings.word_embeddings"}},
                                   {"positions", {"embeddings.position_embeddings"}},
                                   {"token_types", {"embeddings.token_type_embeddings"}},
                                   {"norm", {"embeddings.LayerNorm"}}};
  return kModules;
}

const Modules& block_modules() {
  static const Modules kModules = {
      {"attention.qkv", {"attention.self.query", "attention.self.key", "attention.self.value"}},
      {"attention.output", {"attention.output.dense"}},
      {"attention_norm", {"attention.output.LayerNorm"}},
      {"mlp.up", {"intermediate.dense"}},
      {"mlp.down", {"output.dense"}},
      {"mlp_norm", {"output.LayerNorm"}}};
  return kModules;
}

const Modules& head_modules() {
  static const Modules kModules = {{"transform", {"transform.dense"}},
                                   {"norm", {"transform.LayerNorm"}},
                                   {"output", {"decoder"}}};
  return kModules;
}

// Checkpoints that were made of TensorFlow's call the weights of a layer norm gamma and beta.
void add_old_names(std::vector<HfTensor>& tensors) {
  const auto renamed = [](const std::string& name, const std::string& leaf,
                          const std::string& old) {
    const std::string module = "LayerNorm.";
    if (!name.ends_with(module + leaf)) return std::string();
    return name.substr(0, name.size() - leaf.size()) + old;
  };
  for (HfTensor& tensor : tensors) {
    const std::vector<std::string> names = tensor.names;
    for (const std::string& name : names) {
      for (const std::string& old :
           {renamed(name, "weight", "gamma"), renamed(name, "bias", "beta")}) {
        if (!old.empty()) tensor.names.push_back(old);
      }
    }
  }
}

// Where it is tied the bias has two names; the second is an alias that transformers does not write.
std::vector<HfTensor> head_tensors(const spec::ModelSpec& model, const spec::ParamSpec& param) {
  const std::string head = "cls.predictions.";
  if (param.name == "output.bias" && model.tied_embeddings) {
    return {{{head + "bias", head + "decoder.bias"}, param.shape, {0, param.shape[0]}, false}};
  }
  if (param.name == "unread.bias")
    return {{{head + "bias"}, param.shape, {0, param.shape[0]}, false}};
  return hf_tensors_of(param, head_modules(), {"", head});
}

std::vector<HfTensor> tensors_of(const spec::ModelSpec& model, int layer,
                                 const spec::ParamSpec& param) {
  const std::string prefix = "bert.";
  if (!param.tied_name.empty()) {
    spec::ParamSpec tokens = param;
    tokens.name = param.tied_name;
    std::vector<HfTensor> tensors = hf_tensors_of(tokens, embedding_modules(), {prefix, ""});
    tensors[0].names.emplace_back("cls.predictions.decoder.weight");
    return tensors;
  }
  switch (model.layer(layer).kind) {
    case spec::LayerKind::kEmbedding:
      return hf_tensors_of(param, embedding_modules(), {prefix, ""});
    case spec::LayerKind::kBlock:
      return hf_tensors_of(param, block_modules(),
                           {prefix, "encoder.layer." + std::to_string(layer - 1) + "."});
    case spec::LayerKind::kHead:
      return head_tensors(model, param);
    case spec::LayerKind::kMerge:
      break;
  }
  GALV_CHECK(false, "no Hugging Face name for ", param.name);
}

}  // namespace

std::vector<HfTensor> bert_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param) {
  std::vector<HfTensor> tensors = tensors_of(model, layer, param);
  add_old_names(tensors);
  return tensors;
}

}  // namespace galvatron::models
