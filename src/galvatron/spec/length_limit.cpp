#include "galvatron/spec/length_limit.h"

namespace galvatron::spec {
namespace {

constexpr std::int64_t kMistralWindow = 4096;  // of a config that says none

bool ends_at_window(const ModelSpec& model) {
  const bool is_mistral = model.config.value("model_type", "") == "mistral";
  const auto window = model.config.find("sliding_window");
  const auto positions = model.config.find("max_position_embeddings");
  const std::int64_t has = model.max_positions;
  if (positions != model.config.end() && *positions == has) return false;
  return window == model.config.end() ? is_mistral && has == kMistralWindow : *window == has;
}

}  // namespace

std::string window_note(const ModelSpec& model) {
  if (!ends_at_window(model)) return "";
  return " (its sliding_window: beyond it tokens are hidden, which is not supported)";
}

}  // namespace galvatron::spec
