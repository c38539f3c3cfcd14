// BERT's names in a Hugging Face checkpoint, and what those of its kin have in common.
#pragma once
#include <string>
#include <vector>

#include "galvatron/models/hf_weights.h"

namespace galvatron::models {

struct EncoderHfNames {
  std::string prefix;  // of all but the head: "bert."
  std::string blocks;  // of block i, before its number: "encoder.layer."
  std::vector<HfModule> embedding_modules, block_modules;
  std::string head;  // before the names of its modules: "cls.predictions."
  std::vector<HfModule> head_modules;
  // Of the output's bias beside the one of its module ("bias"): the name that a tied one is written
  // under, an untied one's that nothing reads. Empty: there is only one.
  std::string second_bias;
};

std::vector<HfTensor> encoder_hf_tensors(const EncoderHfNames& names, const spec::ModelSpec& model,
                                         int layer, const spec::ParamSpec& param);

std::vector<HfTensor> bert_hf_tensors(const spec::ModelSpec& model, int layer,
                                      const spec::ParamSpec& param);

}  // namespace galvatron::models
