// T5's names in a Hugging Face checkpoint of T5ForConditionalGeneration.
#pragma once
#include "galvatron/models/hf_weights.h"

namespace galvatron::models {

std::vector<HfTensor> t5_hf_tensors(const spec::ModelSpec& model, int layer,
                                    const spec::ParamSpec& param);

}  // namespace galvatron::models
