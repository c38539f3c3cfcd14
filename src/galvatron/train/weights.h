// Weights in and out as Hugging Face checkpoint folders (config.json + safetensors), under any
// plan.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::train {

// Tensors at hand, by the first of their Hugging Face names.
using HfTensorSource = std::function<at::Tensor(const std::string& name)>;
// A tensor of a unit's owned elements: ParamUnit::master, ParamUnit::gradient, an optimizer state.
using OwnedTensor = std::function<at::Tensor(runtime::ParamUnit&)>;

// Reads the weights of a folder (or a .safetensors file) into the engine and publishes them. Every
// rank reads the rows that it owns and no others. Collective. ConfigError, the same on every rank
// and before anything is assigned, that lists what is missing, unexpected, or of a wrong shape or
// type. The head of a task that the weights are not of stays as it is: returned as by
// check_weights().
std::vector<std::string> load_weights(runtime::Engine& engine, const std::filesystem::path& path);

// Copies what this rank owns out of whole tensors, on any device, into the master weights or an
// optimizer's states. Not collective: publish weights. REQUIRES: every tensor has its shape.
void assign_tensors(runtime::Engine& engine, const HfTensorSource& tensor,
                    const OwnedTensor& owned);

// The check of load_weights alone, for before an engine is made. Returns what load_weights leaves
// as it is, by the names in a checkpoint: the head where weights are a backbone's, or of other
// classes.
std::vector<std::string> check_weights(const spec::ModelSpec& model,
                                       const std::filesystem::path& path);
// "DIR has no head of this task: classifier.bias, classifier.weight begin with random values";
// empty for none.
std::string new_head_note(const std::vector<std::string>& names, const std::filesystem::path& path);

struct ExportOptions {
  at::ScalarType dtype = at::kFloat;
  // A tokenizer.json, or a folder whose tokenizer files are copied; empty for none.
  std::filesystem::path tokenizer;
  Bytes max_shard{5'000'000'000};
  // Of images: what its config calls the classes, in their order; empty: as it is.
  std::vector<std::string> class_names = {};
  OrderedJson preprocessor = nullptr;  // preprocessor_config.json; null: none
};

// ConfigError when `folder` cannot become an export: it is a file, or holds anything that an export
// would not have written, or the tokenizer is missing. Call it before the training, not after.
void check_export(const std::filesystem::path& folder, const ExportOptions& options = {});

// ConfigError when the folder beside `folder` that an export is written to first cannot be made.
void try_export(const std::filesystem::path& folder);

// Writes a folder that transformers loads with from_pretrained. Collective; the files are written
// by rank 0, beside their place, and appear at the end all at once, in place of an earlier export.
// Holds one whole parameter on rank 0 and one layer's part on the others.
void export_weights(runtime::Engine& engine, const std::filesystem::path& folder,
                    const ExportOptions& options = {});

// The same from tensors at hand, by the first of their Hugging Face names. Not collective.
void save_weights(const spec::ModelSpec& model, const HfTensorSource& tensor,
                  const std::filesystem::path& folder, const ExportOptions& options = {});

// The same from whole parameters at hand, each asked for once, in the order of the layers. Not
// collective.
using WholeParameterSource =
    std::function<at::Tensor(const spec::LayerSpec& layer, const spec::ParamSpec& spec)>;
void save_parameters(const spec::ModelSpec& model, const WholeParameterSource& parameter,
                     const std::filesystem::path& folder, const ExportOptions& options = {});

// `whole` is on the CPU and has spec.shape.
using WholeParameterSink =
    std::function<void(int layer, const spec::ParamSpec& spec, const at::Tensor& whole)>;

// Brings every parameter whole to rank 0, one after the other in the order of the layers, tied ones
// once, and calls `sink` there. Collective.
void for_each_whole_parameter(runtime::Engine& engine, const OwnedTensor& owned,
                              const WholeParameterSink& sink);

}  // namespace galvatron::train
