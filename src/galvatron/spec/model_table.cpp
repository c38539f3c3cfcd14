#include "galvatron/spec/model_table.h"

#include <algorithm>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/base/table.h"
#include "galvatron/base/units.h"
#include "galvatron/spec/preset_hint.h"

namespace galvatron::spec {
namespace {

std::string params_text(const ModelSpec& model) {
  return amount_text(static_cast<double>(model.num_params()));
}

std::string positions_text(const ModelSpec& model) {
  // T5's relative positions end nowhere.
  const bool bounded = model.first_block().shape.relative_bias.num_buckets == 0;
  return bounded ? std::to_string(model.max_positions) : "any";
}

std::string cell(const OrderedJson& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

OrderedJson model_to_json(const ModelSpec& model) {
  const TransformerShape& shape = model.first_block().shape;
  OrderedJson out = {{"name", model.name},
                     {"family", to_text(model.family)},
                     {"task", to_text(model.task)},
                     {"num_params", model.num_params()},
                     {"num_layers", model.num_blocks()},
                     {"hidden_size", shape.hidden_size},
                     {"num_heads", shape.num_heads},
                     {"num_kv_heads", shape.num_kv_heads},
                     {"head_size", shape.head_size},
                     {"intermediate_size", shape.intermediate_size}};
  if (model.vocab_size > 0) out["vocab_size"] = model.vocab_size;
  if (shape.relative_bias.num_buckets == 0) out["max_positions"] = model.max_positions;
  if (model.image.num_classes > 0) out["num_classes"] = model.image.num_classes;
  out["tied_embeddings"] = model.tied_embeddings;
  return out;
}

std::string models_table(const std::vector<ModelSpec>& models) {
  TextTable table({"model", "family", "parameters", "layers", "hidden", "heads", "kv heads", "mlp",
                   "vocabulary", "positions"});
  table.align(1, TextTable::Align::kLeft);
  for (const ModelSpec& model : models) {
    const TransformerShape& shape = model.first_block().shape;
    table.add_row(
        {model.name, to_text(model.family), params_text(model), std::to_string(model.num_blocks()),
         std::to_string(shape.hidden_size), std::to_string(shape.num_heads),
         std::to_string(shape.num_kv_heads), std::to_string(shape.intermediate_size),
         model.vocab_size > 0 ? std::to_string(model.vocab_size) : "-", positions_text(model)});
  }
  return table.to_string();
}

std::string model_table(const ModelSpec& model) {
  TextTable table({"model", model.name});
  const OrderedJson numbers = model_to_json(model);
  for (const auto& [name, value] : numbers.items()) {
    if (name == "name") continue;
    const bool counts_params = name == "num_params";
    table.add_row(
        {name, counts_params ? cell(value) + " (" + params_text(model) + ")" : cell(value)});
  }
  return table.to_string();
}

ModelSpec load_preset(const std::string& name, const ModelOverrides& overrides) {
  const std::vector<std::string> names = preset_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw ConfigError("[model] '", name, "' ", unknown_model_hint(name, names));
  }
  return load_model((configs_directory() / "models" / (name + ".json")).string(), overrides);
}

std::vector<ModelSpec> load_presets() {
  std::vector<ModelSpec> models;
  for (const std::string& name : preset_names()) models.push_back(load_model(name));
  const auto order = [](const ModelSpec& model) {
    return std::pair(model.name.substr(0, model.name.find('-')), model.num_params());
  };
  std::stable_sort(models.begin(), models.end(),
                   [&](const auto& one, const auto& other) { return order(one) < order(other); });
  return models;
}

}  // namespace galvatron::spec
