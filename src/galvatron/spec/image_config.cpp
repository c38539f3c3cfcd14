#include "galvatron/spec/image_config.h"

#include <array>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"

namespace galvatron::spec {
namespace {

constexpr std::int64_t kMaxPixels = 1 << 14;  // along one side
constexpr std::int64_t kMaxChannels = 1 << 10;

using Size = std::array<std::int64_t, 2>;  // height, width

Size get_size(JsonReader& reader, const std::string& key, std::int64_t fallback) {
  if (!reader.has(key) || !reader.get(key).is_array()) {
    const std::int64_t side = reader.get_int_or(key, fallback, 1, kMaxPixels);
    return {side, side};
  }
  const Json& value = reader.get_array(key);
  const auto is_side = [](const Json& side) {
    return side.is_number_integer() && side >= 1 && side <= kMaxPixels;
  };
  if (value.size() != 2 || !is_side(value[0]) || !is_side(value[1])) {
    throw ConfigError("[model] ", reader.source(), ": ", key, " is ", value.dump(),
                      "; write one number or [height, width], each in 1 .. ", kMaxPixels);
  }
  return {value[0].get<std::int64_t>(), value[1].get<std::int64_t>()};
}

std::int64_t get_num_classes(JsonReader& reader) {
  const std::string& source = reader.source();
  if (reader.has("problem_type")) {
    const std::string type = reader.get_string("problem_type");
    if (type != "single_label_classification") {
      refuse_feature(source, "problem_type", "'" + type + "'",
                     "; only 'single_label_classification' is");
    }
  }
  std::int64_t classes = reader.get_int_or("num_labels", 2, 1, kMaxVocab);
  if (reader.has("id2label")) {
    const Json& names = reader.get("id2label");
    if (!names.is_object()) throw ConfigError("[model] ", source, ": id2label must be an object");
    const auto count = static_cast<std::int64_t>(names.size());
    if (reader.has("num_labels") && classes != count) {
      throw ConfigError("[model] ", source, ": num_labels ", classes, ", but id2label names ",
                        count, " classes; give one of them");
    }
    classes = count;
  }
  if (classes < 2) {
    refuse_feature(source, "num_labels", std::to_string(classes),
                   " (transformers would take it for regression); give at least 2 classes");
  }
  return classes;
}

}  // namespace

ImageConfig read_image_config(JsonReader& reader, std::int64_t image_size,
                              std::int64_t patch_size) {
  const Size image = get_size(reader, "image_size", image_size);
  const Size patch = get_size(reader, "patch_size", patch_size);
  for (std::size_t i = 0; i < 2; ++i) {
    if (patch[i] <= image[i]) continue;
    throw ConfigError("[model] ", reader.source(), ": patches of ", patch[0], " x ", patch[1],
                      " are larger than images of ", image[0], " x ", image[1]);
  }
  ImageConfig config;
  config.image = {reader.get_int_or("num_channels", 3, 1, kMaxChannels), image[0], image[1],
                  get_num_classes(reader)};
  config.patch_height = patch[0];
  config.patch_width = patch[1];
  return config;
}

void read_image_block(JsonReader& reader, double norm_epsilon, TransformerShape& shape) {
  shape.activation =
      parse_activation(reader.get_string_or("hidden_act", "gelu"), "hidden_act", reader.source());
  shape.norm_epsilon = reader.get_number_or("layer_norm_eps", norm_epsilon, 0, 1);
  shape.qkv_bias = reader.get_bool_or("qkv_bias", true);
  shape.causal = false;
  shape.residual_dropout = reader.get_number_or("hidden_dropout_prob", 0, 0, 0.999);
  shape.embedding_dropout = shape.residual_dropout;
  shape.attention_dropout = reader.get_number_or("attention_probs_dropout_prob", 0, 0, 0.999);
}

void add_patch_projection(LayerMaker& maker, const ImageConfig& config, double stddev) {
  const std::int64_t hidden = maker.layer().shape.hidden_size;
  const Init init{InitKind::kNormal, stddev};
  maker.add({"patches.weight",
             {hidden, config.image.channels, config.patch_height, config.patch_width},
             {},
             init,
             true,
             {},
             /*multiplies_tokens=*/true});
  maker.add({"patches.bias", {hidden}, {}, {InitKind::kZeros}, false, {}});
}

LayerSpec image_head(const ImageConfig& config, const TransformerShape& shape, double stddev) {
  LayerMaker maker(LayerKind::kHead, "head", shape, stddev);
  maker.takes(InputKind::kClasses);
  maker.norm("norm");
  maker.vocabulary("classifier.weight", config.image.num_classes);
  maker.vocabulary_bias("classifier.bias", config.image.num_classes);
  return maker.take();
}

ModelSpec image_model(Family family, const ImageConfig& config, std::int64_t length,
                      std::vector<LayerSpec> layers) {
  ModelSpec model;
  model.family = family;
  model.task = Task::kImageClasses;
  model.max_positions = length;
  model.fixed_seq_length = length;
  model.image = config.image;
  model.layers = std::move(layers);
  number_types(model.layers);
  return model;
}

}  // namespace galvatron::spec
