#include "galvatron/spec/model_table.h"

#include "galvatron/base/table.h"
#include "galvatron/base/units.h"

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

}  // namespace galvatron::spec
