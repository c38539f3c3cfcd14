// Which preset somebody meant who wrote another name.
#pragma once
#include <string>
#include <vector>

namespace galvatron::spec {

// The preset with the sizes of a model of the Hugging Face hub: "llama2-13b" of
// "meta-llama/Llama-2-13b-hf". Empty: there is none.
std::string preset_of_hub_name(const std::string& name, const std::vector<std::string>& presets);

// "is no preset ...", the rest of the sentence about `name`, which is neither a preset nor a file
// or folder: the preset with its sizes, or the nearest three.
std::string unknown_model_hint(const std::string& name, const std::vector<std::string>& presets);

}  // namespace galvatron::spec
