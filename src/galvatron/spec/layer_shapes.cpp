#include "galvatron/spec/layer_shapes.h"

#include <algorithm>

namespace galvatron::spec {
namespace {

constexpr const char* kShapesKey = "shapes";

void add_known(Shapes& shapes, const char* name, std::int64_t value) {
  if (value != 0) shapes.emplace_back(name, value);
}

Shapes without_parameters(const LayerSpec& layer) {
  const TransformerShape& shape = layer.shape;
  Shapes out;
  add_known(out, "hidden_size", shape.hidden_size);
  if (layer.kind == LayerKind::kBlock) {
    add_known(out, "num_heads", shape.num_heads);
    add_known(out, "num_kv_heads", shape.num_kv_heads);
    add_known(out, "head_size", shape.head_size);
    add_known(out, "intermediate_size", shape.intermediate_size);
    add_known(out, "sliding_window", shape.sliding_window);
  } else {
    add_known(out, "vocab_size", layer.vocab_size());
  }
  return out;
}

}  // namespace

Shapes layer_shapes(const LayerSpec& layer) {
  Shapes out = without_parameters(layer);
  add_known(out, "parameters", layer.num_params());
  return out;
}

Shapes block_shapes(const ModelSpec& model) {
  for (const LayerSpec& layer : model.layers) {
    if (layer.kind == LayerKind::kBlock) return without_parameters(layer);
  }
  return {};
}

std::optional<ShapeDifference> shape_difference(const Shapes& recorded, const Shapes& now) {
  for (const auto& [name, value] : recorded) {
    const auto found = std::find_if(now.begin(), now.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    const std::int64_t other = found == now.end() ? 0 : found->second;
    if (other != value) return ShapeDifference{name, value, other};
  }
  return std::nullopt;
}

OrderedJson shapes_to_json(const Shapes& shapes) {
  OrderedJson out = OrderedJson::object();
  for (const auto& [name, value] : shapes) out[name] = value;
  return out;
}

Shapes read_shapes(JsonReader& owner) {
  if (!owner.has(kShapesKey)) {
    owner.ignore(kShapesKey);
    return {};
  }
  JsonReader reader = owner.get_object(kShapesKey);
  Shapes out;
  // In our order, so that a file says the same again.
  for (const char* name : {"hidden_size", "num_heads", "num_kv_heads", "head_size",
                           "intermediate_size", "sliding_window", "vocab_size", "parameters"}) {
    add_known(out, name, reader.get_int_or(name, 0, 0, std::int64_t{1} << 53));
  }
  reader.finish();
  return out;
}

}  // namespace galvatron::spec
