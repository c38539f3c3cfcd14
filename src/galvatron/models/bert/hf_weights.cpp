#include "galvatron/models/bert/hf_weights.h"

#include "galvatron/base/error.h"

namespace galvatron::models {
namespace {

const EncoderHfNames& bert_names() {
  static const EncoderHfNames kNames = {
      .prefix = "bert.",
      .blocks = "encoder.layer.",
      .embedding_modules = {{"tokens", {"embeddings.word_embeddings"}},
                            {"positions", {"embeddings.position_embeddings"}},
                            {"token_types", {"embeddings.token_type_embeddings"}},
                            {"norm", {"embeddings.LayerNorm"}}},
      .block_modules = {{"attention.qkv",
                         {"attention.self.query", "attention.self.key", "attention.self.value"}},
                        {"attention.output", {"attention.output.dense"}},
                        {"attention_norm", {"attention.output.LayerNorm"}},
                        {"mlp.up", {"intermediate.dense"}},
                        {"mlp.down", {"output.dense"}},
                        {"mlp_norm", {"output.LayerNorm"}}},
      .head = "cls.predictions.",
      .head_modules = {{"transform", {"transform.dense"}},
                       {"norm", {"transform.LayerNorm"}},
                       {"output", {"decoder"}}},
      .second_bias = "bias"};
  return kNames;
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

std::vector<HfTensor> encoder_head_tensors(const EncoderHfNames& names,
                                           const spec::ModelSpec& model,
                                           const spec::ParamSpec& param) {
  if (param.name == "unread.bias")
    return {{{names.head + names.second_bias}, param.shape, {0, param.shape[0]}}};
  std::vector<HfTensor> tensors = hf_tensors_of(param, names.head_modules, {"", names.head});
  // Where it is tied the bias has two names; that of the module is an alias that transformers does
  // not write.
  if (param.name == "output.bias" && model.tied_embeddings && !names.second_bias.empty())
    tensors[0].names.insert(tensors[0].names.begin(), names.head + names.second_bias);
  return tensors;
}

}  // namespace

std::vector<HfTensor> encoder_hf_tensors(const EncoderHfNames& names, const spec::ModelSpec& model,
                                         int layer, const spec::ParamSpec& param) {
  if (!param.tied_name.empty()) {
    spec::ParamSpec tokens = param;
    tokens.name = param.tied_name;
    std::vector<HfTensor> tensors =
        hf_tensors_of(tokens, names.embedding_modules, {names.prefix, ""});
    tokens.name = "output.weight";
    const std::vector<HfTensor> outputs =
        hf_tensors_of(tokens, names.head_modules, {"", names.head});
    tensors[0].names.push_back(outputs[0].names[0]);
    return tensors;
  }
  switch (model.layer(layer).kind) {
    case spec::LayerKind::kEmbedding:
      return hf_tensors_of(param, names.embedding_modules, {names.prefix, ""});
    case spec::LayerKind::kBlock:
      return hf_tensors_of(param, names.block_modules,
                           {names.prefix, names.blocks + std::to_string(layer - 1) + "."});
    case spec::LayerKind::kHead:
      return encoder_head_tensors(names, model, param);
    case spec::LayerKind::kMerge:
      break;
  }
  GALV_CHECK(false, "no Hugging Face name for ", param.name);
}

std::vector<HfTensor> bert_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param) {
  std::vector<HfTensor> tensors = encoder_hf_tensors(bert_names(), model, layer, param);
  add_old_names(tensors);
  return tensors;
}

}  // namespace galvatron::models
