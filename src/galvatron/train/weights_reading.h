// The weights of a folder, under the names that a model has for them.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/models/safetensors.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::train {

// Tensors without what held the model when it was saved: DDP's "module.", torch.compile's
// "_orig_mod.", a larger model ("language_model."), of which the rest is left out.
class StoredWeights {
 public:
  // ConfigError as SafetensorsReader has it.
  StoredWeights(const spec::ModelSpec& model, const std::filesystem::path& path);

  const std::filesystem::path& path() const { return reader_.path(); }
  std::vector<std::string> names() const;
  // Null where there is none.
  const models::TensorInfo* find(const std::string& name) const;
  at::Tensor view(const std::string& name) const;
  std::string promised_shard(const std::string& name) const;
  // Of another task's head, or of another part of a larger model.
  const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  void rename(const std::function<std::string(const std::string&)>& renamed);

  models::SafetensorsReader reader_;
  std::map<std::string, std::string> stored_names_;  // by those that the model has
  std::string prefix_;
  std::vector<std::string> left_out_;
};

// "DIR has 2 tensors that this model does not: score.weight left out"; empty for none.
std::string left_out_note(const spec::ModelSpec& model, const std::filesystem::path& path);

}  // namespace galvatron::train
