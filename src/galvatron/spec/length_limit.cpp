#include "galvatron/spec/length_limit.h"

#include <fmt/format.h>

namespace galvatron::spec {
namespace {

// The longest that the config names is more than the model allows here.
bool is_window(const ModelSpec& model) {
  const auto it = model.config.find("sliding_window");
  return it != model.config.end() && it->is_number_integer() &&
         it->get<std::int64_t>() == model.max_positions &&
         model.config.value("max_position_embeddings", model.max_positions + 1) >
             model.max_positions;
}

}  // namespace

std::string length_limit(const ModelSpec& model) {
  std::string text = fmt::format("the {} positions of model '{}'", model.max_positions, model.name);
  if (is_window(model))
    text += " (its sliding_window: beyond it tokens are hidden, which is not supported)";
  return text;
}

}  // namespace galvatron::spec
