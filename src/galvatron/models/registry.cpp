#include "galvatron/models/registry.h"

#include "galvatron/base/error.h"
#include "galvatron/models/bert/hf_weights.h"
#include "galvatron/models/bert/model.h"
#include "galvatron/models/decoder/decoder.h"
#include "galvatron/models/distilbert/hf_weights.h"
#include "galvatron/models/gemma/hf_weights.h"
#include "galvatron/models/gpt/hf_weights.h"
#include "galvatron/models/llama/hf_weights.h"
#include "galvatron/models/neox/hf_weights.h"
#include "galvatron/models/olmo/hf_weights.h"
#include "galvatron/models/phi/hf_weights.h"
#include "galvatron/models/roberta/hf_weights.h"
#include "galvatron/models/swin/hf_weights.h"
#include "galvatron/models/swin/model.h"
#include "galvatron/models/t5/hf_weights.h"
#include "galvatron/models/t5/model.h"
#include "galvatron/models/vit/hf_weights.h"
#include "galvatron/models/vit/model.h"
#include "galvatron/nn/vector_math.h"

namespace galvatron::models {
namespace {

// What a family's folder gives.
struct FamilyEntry {
  decltype(&make_layer) layer;
  decltype(&hf_tensors) weights;
};

FamilyEntry entry(spec::Family family) {
  switch (family) {
    case spec::Family::kGpt:
      return {make_decoder_layer, gpt_hf_tensors};
    case spec::Family::kLlama:
      return {make_decoder_layer, llama_hf_tensors};
    case spec::Family::kPhi:
      return {make_decoder_layer, phi_hf_tensors};
    case spec::Family::kNeox:
      return {make_decoder_layer, neox_hf_tensors};
    case spec::Family::kOlmo:
      return {make_decoder_layer, olmo_hf_tensors};
    case spec::Family::kGemma:
      return {make_decoder_layer, gemma_hf_tensors};
    case spec::Family::kVit:
      return {make_vit_layer, vit_hf_tensors};
    case spec::Family::kDeit:
      return {make_vit_layer, deit_hf_tensors};
    case spec::Family::kSwin:
      return {make_swin_layer, swin_hf_tensors};
    case spec::Family::kBert:
      return {make_bert_layer, bert_hf_tensors};
    case spec::Family::kRoberta:
      return {make_bert_layer, roberta_hf_tensors};
    case spec::Family::kDistilbert:
      return {make_bert_layer, distilbert_hf_tensors};
    case spec::Family::kT5:
      return {make_t5_layer, t5_hf_tensors};
  }
  GALV_CHECK(false, "family without layers");
}

}  // namespace

std::unique_ptr<nn::Layer> make_layer(const spec::ModelSpec& model, int index,
                                      const nn::LayerPlacement& placement) {
  nn::prepare_vector_math();  // before any layer computes
  return entry(model.family).layer(model, index, placement);
}

std::vector<HfTensor> hf_tensors(const spec::ModelSpec& model, int layer,
                                 const spec::ParamSpec& param) {
  return entry(model.family).weights(model, layer, param);
}

}  // namespace galvatron::models
