// ViT and DeiT for image classification as transformers' ViTConfig and DeiTConfig describe them.
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/image_config.h"

namespace galvatron::spec {
namespace {

TransformerShape read_vit_shape(JsonReader& reader) {
  TransformerShape shape;
  shape.hidden_size = reader.get_int_or("hidden_size", 768, 1, kMaxWidth);
  shape.num_heads = reader.get_int_or("num_attention_heads", 12, 1, kMaxWidth);
  shape.num_kv_heads = shape.num_heads;
  shape.head_size = reader.has("head_dim")
                        ? reader.get_int("head_dim", 1, kMaxWidth)
                        : divided_width(reader.source(), "hidden_size", shape.hidden_size,
                                        "num_attention_heads", shape.num_heads);
  shape.intermediate_size = reader.get_int_or("intermediate_size", 3072, 1, kMaxWidth);
  read_image_block(reader, 1e-12, shape);
  return shape;
}

// `tokens`: parameters that are tokens before those of the patches.
ModelSpec patch_model(Family family, const Json& json, const std::string& source,
                      const std::vector<const char*>& tokens) {
  JsonReader reader(json, source, Nulls::kAbsent);
  const ImageConfig config = read_image_config(reader, 224, 16);
  const TransformerShape shape = read_vit_shape(reader);
  const std::int64_t num_blocks = reader.get_int_or("num_hidden_layers", 12, 1, kMaxBlocks);
  const double stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  // Pixels beyond the last whole patch are left out, as a convolution does.
  const std::int64_t rows = config.image.height / config.patch_height;
  const std::int64_t columns = config.image.width / config.patch_width;
  const std::int64_t length = rows * columns + static_cast<std::int64_t>(tokens.size());
  const StreamSpec stream{StreamSpec::Length::kFixed, length, shape.hidden_size};

  TransformerShape embedded = shape;
  embedded.window = {rows, columns};
  LayerMaker embedding(LayerKind::kEmbedding, "embedding", embedded, stddev);
  embedding.takes(InputKind::kImages);
  embedding.makes(stream);
  add_patch_projection(embedding, config, stddev);
  const Init init{InitKind::kNormal, stddev};
  for (const char* token : tokens)
    embedding.add({token, {1, 1, shape.hidden_size}, {}, init, true, {}});
  embedding.add({"positions", {1, length, shape.hidden_size}, {}, init, true, {}});

  std::vector<LayerSpec> layers = {embedding.take()};
  for (std::int64_t i = 0; i < num_blocks; ++i) {
    LayerMaker block(LayerKind::kBlock, "block." + std::to_string(i), shape, stddev);
    block.makes(stream);
    block.transformer_block(stddev);
    layers.push_back(block.take());
  }
  layers.push_back(image_head(config, shape, stddev));
  return image_model(family, config, length, std::move(layers));
}

}  // namespace

ModelSpec vit_model(const Json& json, const std::string& source) {
  return patch_model(Family::kVit, json, source, {"class_token"});
}

// The classes are learned from the class token; the token that a teacher would be asked by is read
// and carried.
ModelSpec deit_model(const Json& json, const std::string& source) {
  return patch_model(Family::kDeit, json, source, {"class_token", "distillation_token"});
}

}  // namespace galvatron::spec
