#include "galvatron/spec/config_features.h"

#include <array>
#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::spec {

Activation parse_activation(const std::string& text, const std::string& key,
                            const std::string& source) {
  static const std::array<std::pair<const char*, Activation>, 10> kNames = {{
      {"gelu", Activation::kGelu},
      {"gelu_python", Activation::kGelu},
      {"gelu_accurate", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh},
      {"gelu_new", Activation::kGeluTanh},
      {"gelu_python_tanh", Activation::kGeluTanh},
      {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"relu", Activation::kRelu},
      {"silu", Activation::kSilu},
      {"swish", Activation::kSilu},
  }};
  std::vector<std::string> names;
  for (const auto& [name, activation] : kNames) {
    if (text == name) return activation;
    names.emplace_back(name);
  }
  const std::string nearest = did_you_mean(text, names);
  refuse_feature(source, key, "'" + text + "'",
                 nearest.empty()
                     ? "; known are gelu, gelu_fast, gelu_new, gelu_pytorch_tanh, relu and silu"
                     : nearest);
}

void refuse_feature(const std::string& source, const std::string& key, const std::string& value,
                    const std::string& way_out) {
  throw ConfigError("[model] ", source, ": ", key, " = ", value, " is not supported", way_out);
}

std::int64_t get_int_either(JsonReader& reader, const std::string& key, const std::string& general,
                            std::int64_t fallback, std::int64_t max) {
  return reader.get_int_or(reader.has(key) ? key : general, fallback, 1, max);
}

std::int64_t divided_width(const std::string& source, const char* width_key, std::int64_t width,
                           const char* heads_key, std::int64_t heads) {
  if (width % heads == 0) return width / heads;
  throw ConfigError("[model] ", source, ": ", width_key, " ", width, " is not a multiple of ",
                    heads_key, " ", heads);
}

std::int64_t read_padding_token(const Json& config, JsonReader& reader, std::int64_t absent,
                                std::int64_t vocab_size) {
  const char* key = "pad_token_id";
  if (!reader.has(key)) return config.contains(key) || absent >= vocab_size ? -1 : absent;
  const std::int64_t id = reader.get_int(key, -vocab_size, vocab_size - 1);
  return id < 0 ? id + vocab_size : id;
}

void refuse_common_features(const Json& config, const std::string& source) {
  // Of transformers, of compressed-tensors, of MLX.
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null() || it->empty()) continue;
    refuse_feature(source, key, "{...}", "; use the checkpoint with its original weights");
  }
}

}  // namespace galvatron::spec
