// BERT's names in a Hugging Face checkpoint of BertForMaskedLM.
#pragma once
#include "galvatron/models/hf_weights.h"

namespace galvatron::models {

std::vector<HfTensor> bert_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param);

}  // namespace galvatron::models
