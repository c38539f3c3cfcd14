#include "galvatron/train/checkpoint_export.h"

#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/runtime/unit_builder.h"
#include "galvatron/train/checkpoint_files.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/data_fit.h"
#include "galvatron/train/durable_file.h"
#include "galvatron/train/text_samples.h"
#include "galvatron/train/train_job.h"
#include "galvatron/train/train_options.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

spec::ModelSpec model_of(const CheckpointIndex& index, const CheckpointExport& request) {
  if (index.model_config.is_null()) {
    if (request.model.empty())
      throw ConfigError("[checkpoint] ", request.checkpoint, " is of version ", index.version,
                        ", which does not say the numbers of its model '", index.model,
                        "'; name them with --model");
    return spec::load_model(request.model);
  }
  if (!request.model.empty())
    throw ConfigError("[checkpoint] ", request.checkpoint, " says itself that its model is '",
                      index.model, "'; leave --model away");
  return spec::model_from_config(Json(index.model_config), index.model);
}

std::string recorded(const CheckpointIndex& index, const char* option) {
  if (!index.options.is_object() || !index.options.contains(option)) return "";
  const OrderedJson& value = index.options.at(option);
  return value.is_string() ? value.get<std::string>() : "";
}

// What the run itself would export with.
fs::path tokenizer_of(const CheckpointIndex& index, const CheckpointExport& request) {
  TrainJob job;
  job.tokenizer = request.tokenizer;
  job.init_from = recorded(index, "init_from");
  const std::string data = recorded(index, "data");
  if (!data.empty()) job.data = data;
  return find_tokenizer(job);
}

// What the run's data said of images, where they are still there.
void describe_images_of(const CheckpointIndex& index, const spec::ModelSpec& model,
                        ExportOptions& out) {
  if (!index.options.is_object()) return;
  TrainJob job;
  const OptionList list = train_options(job);
  for (const char* name : {"data", "image_mean", "image_std"}) {
    if (index.options.contains(name))
      list.read(Json{{name, Json(index.options.at(name))}}, "checkpoint");
  }
  describe_images(job, model, out);
}

// Master weights are fp64 or fp32; old checkpoints do not say which.
at::ScalarType stored_type(const StateFiles& files, const std::string& entry,
                           const std::vector<std::int64_t>& shape) {
  const bool is_double = files.problem_with(entry, at::kDouble, shape).empty();
  return is_double ? at::kDouble : at::kFloat;
}

at::Tensor read_whole(StateFiles& files, const fs::path& checkpoint, const std::string& parameter,
                      const spec::ParamSpec& param) {
  const std::string entry = "weights/" + parameter;
  const at::ScalarType dtype = stored_type(files, entry, param.shape);
  const std::string problem = files.problem_with(entry, dtype, param.shape);
  if (!problem.empty()) throw DamagedCheckpoint(checkpoint, problem);
  runtime::Box whole;
  for (const std::int64_t size : param.shape) whole.ranges.push_back({0, size});
  at::Tensor value = at::empty(param.shape, at::TensorOptions().dtype(dtype));
  files.read(entry, whole, value);
  return value;
}

ExportedCheckpoint export_one(const fs::path& checkpoint, const CheckpointExport& request) {
  const CheckpointIndex index = read_index(checkpoint);
  const spec::ModelSpec model = model_of(index, request);
  StateFiles files(checkpoint, index);
  ExportOptions options;
  options.dtype = runtime::compute_scalar_type(request.precision);
  options.tokenizer = tokenizer_of(index, request);
  describe_images_of(index, model, options);
  save_parameters(
      model,
      [&](const spec::LayerSpec& layer, const spec::ParamSpec& param) {
        return read_whole(files, checkpoint, layer.full_name(param), param);
      },
      request.output, options);
  return {checkpoint, model.name, index.steps_done, model.num_params(), {}};
}

}  // namespace

OptionList export_options(CheckpointExport& request) {
  OptionList list;
  list.group("Input");
  list.path("checkpoint", request.checkpoint, "Checkpoint; of a folder of them, the latest")
      .required()
      .positional();
  list.path("model", request.model,
            "Preset, config.json or folder, for checkpoints of old versions that do not say it");
  list.path("tokenizer", request.tokenizer,
            "tokenizer.json or folder that goes along; default: that of the run's data or first "
            "weights, where it is still there");
  list.group("Output");
  list.path("output", request.output, "Hugging Face folder to write").required();
  list.flag("overwrite", request.overwrite, "Replace the weights that are in --output");
  list.choice("precision", request.precision, "Of the weights that are written");
  return list;
}

ExportedCheckpoint export_checkpoint(const CheckpointExport& request) {
  const at::NoGradGuard no_grad;
  CheckpointCandidates found = checkpoint_candidates(request.checkpoint);
  check_export(request.output);
  if (!request.overwrite && fs::exists(fs::path(request.output) / "config.json")) {
    throw ConfigError("[weights] ", request.output,
                      " holds weights already: name another --output, or give --overwrite");
  }
  require_writable_folder(parent_of(request.output), "--output");
  try_export(request.output);
  std::vector<std::string> notes;
  if (!found.note.empty()) notes.push_back(found.note);
  for (std::size_t i = 0;; ++i) {
    try {
      ExportedCheckpoint out = export_one(found.paths[i], request);
      out.notes = std::move(notes);
      return out;
    } catch (const DamagedCheckpoint& damage) {
      if (i + 1 == found.paths.size()) throw;
      notes.push_back(fmt::format("{}; taking {}", damage.what(), found.paths[i + 1].string()));
    }
  }
}

}  // namespace galvatron::train
