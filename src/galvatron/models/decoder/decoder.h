// What the decoder-only families share: the pre-norm block and the head. A family adds its embedding and its weights.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::models {

// Finds a layer's parameters by their names in the spec table, so that no order is written twice.
class ParamIndex {
 public:
  explicit ParamIndex(const spec::LayerSpec& layer);
  int at(const std::string& name) const;    // the layer must have it
  int find(const std::string& name) const;  // -1 where the layer has none

 private:
  const spec::LayerSpec* layer_;
};

// params[index], or an undefined tensor for -1.
const at::Tensor& param_or_none(const std::vector<at::Tensor>& params, int index);

// First row of the vocabulary that this tensor-parallel rank holds.
std::int64_t first_vocab_row(const spec::ModelSpec& model, const comm::Group& tp);

// x + attention(norm(x)), then x + mlp(norm(x)).
std::unique_ptr<nn::Layer> make_decoder_block(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement);

// Final norm, output projection, cross entropy.
std::unique_ptr<nn::Layer> make_decoder_head(const spec::ModelSpec& model, int index, const nn::LayerPlacement& placement);

}  // namespace galvatron::models
