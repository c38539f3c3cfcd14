// A whole model as one function on one rank: every layer in one autograd graph, with parameters
// that the caller owns and that are shaped as Hugging Face stores them. Knows no model family.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "galvatron/models/hf_weights.h"
#include "galvatron/nn/layer.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::binding {

struct NamedTensor {
  std::string name;                  // that transformers writes
  std::vector<std::string> aliases;  // its other names where weights are tied
  at::Tensor value;
};

using ModelInputs = std::map<spec::InputKind, at::Tensor>;

class OneRankModel {
 public:
  // `seed` addresses first weights and dropout masks.
  OneRankModel(spec::ModelSpec model, std::uint64_t seed);

  const spec::ModelSpec& model() const { return model_; }

  // One tensor for each that a checkpoint holds, tied ones once, with the first weights that
  // training would start from; on the meta device shapes alone.
  std::vector<NamedTensor> make_parameters(at::ScalarType dtype, c10::Device device) const;
  // Of each of them: does it decay, where nobody says otherwise?
  std::vector<bool> decays() const;
  // Reads a checkpoint into such tensors. ConfigError that lists what does not fit.
  // Returns what is to be said of a head that stays as it is (train::new_head_note).
  std::string load(const std::vector<at::Tensor>& parameters,
                   const std::filesystem::path& folder) const;
  // Writes a folder that transformers loads, in the type of the first parameter.
  void save(const std::vector<at::Tensor>& parameters, const std::filesystem::path& folder,
            const std::filesystem::path& tokenizer) const;

  // Logits [B, T, vocabulary] or [B, classes]. `parameters` in the order of make_parameters().
  // `first_sample` addresses dropout masks. ConfigError for an input that is missing. REQUIRES:
  // inputs of the model's shapes, tokens of its vocabulary.
  at::Tensor logits(const std::vector<at::Tensor>& parameters, const ModelInputs& inputs,
                    std::int64_t first_sample, bool training) const;

 private:
  // A parameter of ours and the tensors of the caller's list that it is made of.
  struct Parameter {
    int layer = 0;
    const spec::ParamSpec* spec = nullptr;
    std::vector<models::HfTensor> tensors;
    std::size_t first = 0;  // of its tensors in the list
  };

  void add_layer(int layer);
  at::Tensor first_value(const Parameter& parameter, at::ScalarType dtype,
                         c10::Device device) const;
  std::vector<at::Tensor> join_parameters(const std::vector<at::Tensor>& parameters) const;
  nn::LayerCall make_call(int layer, const ModelInputs& inputs, std::int64_t first_sample,
                          bool training) const;

  spec::ModelSpec model_;
  std::uint64_t seed_;
  std::vector<Parameter> parameters_;
  std::vector<std::vector<std::size_t>>
      layer_parameters_;  // indices into parameters_, as the layer declares them
  std::vector<std::unique_ptr<nn::Layer>> layers_;
};

}  // namespace galvatron::binding
