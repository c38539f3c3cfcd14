#include "galvatron/models/registry.h"

#include "galvatron/base/error.h"
#include "galvatron/models/gpt/model.h"
#include "galvatron/models/llama/model.h"

namespace galvatron::models {

std::unique_ptr<nn::Layer> make_layer(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement) {
  switch (model.family) {
    case spec::Family::kGpt: return make_gpt_layer(model, index, placement);
    case spec::Family::kLlama: return make_llama_layer(model, index, placement);
  }
  GALV_CHECK(false, "family without layers");
}

}  // namespace galvatron::models
