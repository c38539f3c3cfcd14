// Gemma's names in a Hugging Face checkpoint.
#pragma once
#include "galvatron/models/hf_weights.h"

namespace galvatron::models {

std::vector<HfTensor> gemma_hf_tensors(const spec::ModelSpec& model, int layer,
                                       const spec::ParamSpec& param);

}  // namespace galvatron::models
