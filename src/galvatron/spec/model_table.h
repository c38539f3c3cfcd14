// The numbers of a model for people and programs.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// {"name": "llama2-7b", "family": "llama", "num_params": 6738415616, "num_layers": 32, ...};
// num_layers counts blocks, widths and heads are those of the first (of Swin the narrowest).
// Without what the model does not have.
OrderedJson model_to_json(const ModelSpec& model);

// One row a model.
std::string models_table(const std::vector<ModelSpec>& models);
// One row a number.
std::string model_table(const ModelSpec& model);

}  // namespace galvatron::spec
