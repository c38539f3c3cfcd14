// Every family's reader: a Hugging Face config becomes a ModelSpec, without its name. Absent keys
// take transformers' defaults; ConfigError for values that are impossible and for features that
// change the result and that we do not have. `source` names the config in errors.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// What `model_type` of a config may be, in order.
std::vector<std::string> model_type_names();

ModelSpec gpt_model(const Json& config, const std::string& source);
// model_type llama, mistral, qwen2 and qwen3.
ModelSpec llama_model(const Json& config, const std::string& source);
ModelSpec phi_model(const Json& config, const std::string& source);
ModelSpec neox_model(const Json& config, const std::string& source);
ModelSpec olmo_model(const Json& config, const std::string& source);
// model_type gemma, gemma2 and gemma3_text.
ModelSpec gemma_model(const Json& config, const std::string& source);
ModelSpec vit_model(const Json& config, const std::string& source);
ModelSpec swin_model(const Json& config, const std::string& source);
ModelSpec deit_model(const Json& config, const std::string& source);
ModelSpec bert_model(const Json& config, const std::string& source);
ModelSpec roberta_model(const Json& config, const std::string& source);
ModelSpec distilbert_model(const Json& config, const std::string& source);
// model_type t5 and mt5.
ModelSpec t5_model(const Json& config, const std::string& source);

}  // namespace galvatron::spec
