#include "galvatron/models/hf_weights.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::models {
namespace {

const spec::ParamSpec& find_param(const spec::ModelSpec& model, int layer,
                                  const std::string& name) {
  for (const spec::ParamSpec& param : model.layer(layer).params) {
    if (param.name == name) return param;
  }
  throw std::out_of_range(name);
}

std::vector<std::string> names_of(const spec::ModelSpec& model, int layer,
                                  const std::string& param) {
  std::vector<std::string> names;
  for (const HfTensor& tensor : hf_tensors(model, layer, find_param(model, layer, param))) {
    names.push_back(tensor.names[0]);
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(HfWeights, GptStoresQkvWholeAndTransposed) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const spec::ParamSpec& qkv = find_param(model, 2, "attention.qkv.weight");
  const std::vector<HfTensor> tensors = hf_tensors(model, 2, qkv);
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].names,
            (Names{"transformer.h.1.attn.c_attn.weight", "h.1.attn.c_attn.weight"}));
  EXPECT_EQ(tensors[0].shape, (std::vector<std::int64_t>{64, 192}));
  const at::Tensor whole = at::rand({192, 64});
  EXPECT_TRUE(at::equal(to_hf(tensors[0], qkv, whole), whole.t()));
}

TEST(HfWeights, LlamaStoresQkvAndGateUpInParts) {
  const spec::ModelSpec model = spec::load_model("llama-tiny");
  const spec::ParamSpec& qkv = find_param(model, 1, "attention.qkv.weight");
  const std::vector<HfTensor> tensors = hf_tensors(model, 1, qkv);
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[1].names[0], "model.layers.0.self_attn.k_proj.weight");
  EXPECT_EQ(tensors[1].range, (Range{64, 96}));
  const at::Tensor whole = at::rand({128, 64});
  EXPECT_TRUE(at::equal(to_hf(tensors[1], qkv, whole), whole.narrow(0, 64, 32)));
  EXPECT_EQ(names_of(model, 4, "mlp.gate_up.weight"),
            (Names{"model.layers.3.mlp.gate_proj.weight", "model.layers.3.mlp.up_proj.weight"}));
}

TEST(HfWeights, TheHeadIsTheEmbeddingWhereTied) {
  const spec::ModelSpec untied = spec::load_model("llama-tiny");
  EXPECT_EQ(names_of(untied, untied.num_layers() - 1, "output.weight"), Names{"lm_head.weight"});
  const spec::ModelSpec tied = spec::load_model("gpt2-tiny");
  const int head = tied.num_layers() - 1;
  const HfTensor tensor = hf_tensors(tied, head, find_param(tied, head, "output.weight"))[0];
  EXPECT_EQ(tensor.names, (Names{"transformer.wte.weight", "wte.weight", "lm_head.weight"}));
}

TEST(HfWeights, T5SharesItsTokensAndOneBiasOfEachStack) {
  const spec::ModelSpec model = spec::load_model("t5-tiny");  // two blocks in each stack
  const int decoder = 3, head = model.num_layers() - 1;
  const Names tokens{"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
                     "lm_head.weight"};
  EXPECT_EQ(hf_tensors(model, decoder, find_param(model, decoder, "tokens.weight"))[0].names,
            tokens);
  EXPECT_EQ(hf_tensors(model, head, find_param(model, head, "output.weight"))[0].names, tokens);
  for (const int block : {1, 2}) {
    EXPECT_EQ(names_of(model, block, "attention.relative_bias.weight"),
              Names{"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"});
  }
  EXPECT_EQ(names_of(model, 5, "cross_attention.key_value.weight"),
            (Names{"decoder.block.1.layer.1.EncDecAttention.k.weight",
                   "decoder.block.1.layer.1.EncDecAttention.v.weight"}));
  EXPECT_EQ(names_of(model, 2, "mlp.down.weight"),
            Names{"encoder.block.1.layer.1.DenseReluDense.wo.weight"});
  EXPECT_EQ(names_of(model, 5, "mlp.down.weight"),
            Names{"decoder.block.1.layer.2.DenseReluDense.wo.weight"});
}

TEST(HfWeights, BertsTiedPartsHaveAliases) {
  const spec::ModelSpec model = spec::load_model("bert-tiny");
  const int head = model.num_layers() - 1;
  const auto names = [&](int layer, const char* param) {
    return hf_tensors(model, layer, find_param(model, layer, param))[0].names;
  };
  EXPECT_EQ(names(head, "output.weight"),
            (Names{"bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight",
                   "cls.predictions.decoder.weight"}));
  EXPECT_EQ(names(head, "output.bias"),
            (Names{"cls.predictions.bias", "cls.predictions.decoder.bias"}));
  const Names old = names(1, "mlp_norm.weight");
  EXPECT_NE(std::find(old.begin(), old.end(), "bert.encoder.layer.0.output.LayerNorm.gamma"),
            old.end());
}

TEST(HfWeights, SwinsLayersAreNumberedInTheirStages) {
  const spec::ModelSpec model = spec::load_model("swin-tiny");  // two blocks, a merge, two blocks
  EXPECT_EQ(names_of(model, 5, "attention.window_bias"),
            Names{"swin.encoder.layers.1.blocks.1.attention.self.relative_position_bias_table"});
  EXPECT_EQ(names_of(model, 3, "merged_norm.bias"),
            Names{"swin.encoder.layers.0.downsample.norm.bias"});
  EXPECT_EQ(names_of(model, 6, "norm.weight"), Names{"swin.layernorm.weight"});
  EXPECT_EQ(names_of(model, 6, "classifier.bias"), Names{"classifier.bias"});
}

TEST(HfWeights, VitsClassTokenHasANameOfItsOwn) {
  const spec::ModelSpec model = spec::load_model("vit-tiny");
  const std::vector<HfTensor> tensors = hf_tensors(model, 0, find_param(model, 0, "class_token"));
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].names, (Names{"vit.embeddings.cls_token", "embeddings.cls_token"}));
  EXPECT_EQ(tensors[0].shape, (std::vector<std::int64_t>{1, 1, 48}));
  EXPECT_EQ(names_of(model, 2, "attention.qkv.bias")[1],
            "vit.encoder.layer.1.attention.attention.key.bias");
  EXPECT_TRUE(
      is_hf_buffer("swin.encoder.layers.0.blocks.0.attention.self.relative_position_index"));
}

// What gives every preset's every parameter: each element of a whole parameter lies in one tensor.
TEST(HfWeights, CoversEveryParameterOfEveryPreset) {
  for (const std::string& preset : spec::preset_names()) {
    const spec::ModelSpec model = spec::load_model(preset);
    std::map<std::string, std::string> owner;
    for (int i = 0; i < model.num_layers(); ++i) {
      const spec::LayerSpec& layer = model.layer(i);
      for (const spec::ParamSpec& param : layer.params) {
        const std::string full_name = layer.full_name(param);
        std::int64_t end = 0, numel = 0;
        for (const HfTensor& tensor : hf_tensors(model, i, param)) {
          EXPECT_EQ(tensor.range.begin, end) << preset << " " << tensor.names[0];
          end = tensor.range.end;
          std::int64_t count = 1;
          for (const std::int64_t size : tensor.shape) count *= size;
          numel += count;
          EXPECT_EQ(owner.emplace(tensor.names[0], full_name).first->second, full_name);
        }
        EXPECT_EQ(numel, param.numel()) << preset << " " << full_name;
      }
    }
    EXPECT_FALSE(hf_architecture(model).empty());
  }
}

TEST(HfWeights, KnowsBuffersOfOldCheckpoints) {
  EXPECT_TRUE(is_hf_buffer("h.0.attn.bias"));
  EXPECT_TRUE(is_hf_buffer("transformer.h.3.attn.masked_bias"));
  EXPECT_TRUE(is_hf_buffer("model.layers.0.self_attn.rotary_emb.inv_freq"));
  EXPECT_FALSE(is_hf_buffer("transformer.h.0.attn.c_attn.bias"));
}

}  // namespace
}  // namespace galvatron::models
