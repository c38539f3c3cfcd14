// The numbers that say whether two layers are alike, whatever their models are called: profiles and
// plans record them, so as to be taken for every model of the same shapes and refused for others.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// {"hidden_size", 4096}, ... in the order in which people read them; none that is 0.
using Shapes = std::vector<std::pair<std::string, std::int64_t>>;

// Of one layer: hidden_size, of blocks num_heads, num_kv_heads, head_size, intermediate_size and
// sliding_window, of others vocab_size; and parameters.
Shapes layer_shapes(const LayerSpec& layer);

// Of a model's blocks, as a plan records them: those of the first one, without its parameters.
Shapes block_shapes(const ModelSpec& model);

// The first number of the recorded ones that is another in `now`, 0 where `now` has none.
struct ShapeDifference {
  std::string name;
  std::int64_t recorded = 0, now = 0;
};
std::optional<ShapeDifference> shape_difference(const Shapes& recorded, const Shapes& now);

OrderedJson shapes_to_json(const Shapes& shapes);
// The object under the key "shapes"; empty where there is none. ConfigError for another value.
Shapes read_shapes(JsonReader& owner);

}  // namespace galvatron::spec
