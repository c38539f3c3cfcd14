#include "galvatron/train/checkpoint.h"

#include <charconv>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/runtime/unit_builder.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "galvatron-checkpoint";
constexpr int kVersion = 2;
constexpr const char* kInfoFile = "checkpoint.json";
constexpr const char* kStateFile = "state.safetensors";
constexpr const char* kStepPrefix = "step-";
constexpr std::int64_t kMaxCount = std::int64_t{1} << 53;

// Version 1 knew one optimizer, and gave its states names of their own.
constexpr const char* kOptimizerOfVersion1 = "adamw";

// What every parameter has in a checkpoint of a version: its weights, and each state of the
// optimizer.
std::vector<std::string> part_names(const spec::OptimizerSpec& optimizer, int version) {
  if (version == 1) return {"weights", "first", "second"};
  std::vector<std::string> out = optimizer.states;
  out.insert(out.begin(), "weights");
  return out;
}

// The tensors of these, in the same order.
std::vector<OwnedTensor> parts(Optimizer& optimizer) {
  std::vector<OwnedTensor> out{[](runtime::ParamUnit& unit) { return unit.master(); }};
  for (const std::string& name : optimizer.spec().states) {
    out.push_back(
        [&optimizer, name](runtime::ParamUnit& unit) { return optimizer.state(unit, name); });
  }
  return out;
}

std::string entry_name(const std::string& part, const std::string& parameter) {
  return part + "/" + parameter;
}

std::vector<models::TensorInfo> entries(const spec::ModelSpec& model,
                                        const std::vector<std::string>& part_names,
                                        at::ScalarType dtype) {
  std::vector<models::TensorInfo> out;
  std::set<std::string> done;
  for (const spec::LayerSpec& layer : model.layers) {
    for (const spec::ParamSpec& param : layer.params) {
      const std::string name = layer.full_name(param);
      if (!done.insert(name).second) continue;
      for (const std::string& part : part_names)
        out.push_back({entry_name(part, name), dtype, param.shape});
    }
  }
  return out;
}

OrderedJson progress_json(const spec::ModelSpec& model, Trainer& trainer, std::int64_t seq_length) {
  const LossScaler::State& scaler = trainer.loss_scaler().state();
  return {{"format", kFormat},
          {"version", kVersion},
          {"model", model.name},
          {"seq_length", seq_length},
          {"steps_done", trainer.steps_done()},
          {"samples_consumed", trainer.samples_consumed()},
          {"optimizer", trainer.optimizer().spec().name},
          {"optimizer_steps", trainer.optimizer().num_steps()},
          {"loss_scale", scaler.scale},
          {"good_steps", scaler.good_steps}};
}

struct Progress {
  int version = kVersion;
  std::string model, optimizer;
  std::int64_t seq_length = 0, steps_done = 0, samples_consumed = 0, optimizer_steps = 0;
  LossScaler::State scaler;
};

Progress read_progress(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kInfoFile;
  const Json json = read_json_file(path, mebibytes(1));
  JsonReader reader(json, path.string());
  if (reader.get_string("format") != kFormat)
    throw ConfigError("[checkpoint] ", path.string(), " is no checkpoint");
  Progress out;
  out.version = static_cast<int>(reader.get_int("version", 1, kVersion));
  out.model = reader.get_string("model");
  out.seq_length = reader.get_int("seq_length", 1, kMaxCount);
  out.steps_done = reader.get_int("steps_done", 0, kMaxCount);
  out.samples_consumed = reader.get_int("samples_consumed", 0, kMaxCount);
  out.optimizer = out.version == 1 ? kOptimizerOfVersion1 : reader.get_string("optimizer");
  out.optimizer_steps = reader.get_int("optimizer_steps", 0, kMaxCount);
  out.scaler.scale = reader.get_number("loss_scale", 0, 1e300);
  out.scaler.good_steps = reader.get_int("good_steps", 0, kMaxCount);
  reader.finish();
  return out;
}

// The number of "step-000100"; nothing for other names.
std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  const char* begin = name.data() + std::string_view(kStepPrefix).size();
  const char* end = name.data() + name.size();
  std::int64_t step = 0;
  const auto [stop, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

// This rank's owned elements of a parameter, out of the whole of it.
void copy_owned(const runtime::ParamUnit& unit, const runtime::ParamSlot& slot,
                const at::Tensor& whole, at::Tensor owned) {
  const Range held = intersect({slot.offset, slot.offset + slot.numel}, unit.owned());
  if (held.empty()) return;
  const at::Tensor local = runtime::local_from_global(slot, whole).reshape({-1});
  owned.narrow(0, held.begin - unit.owned().begin, held.size())
      .copy_(local.narrow(0, held.begin - slot.offset, held.size()));
}

}  // namespace

void save_checkpoint(const fs::path& folder, runtime::Engine& engine, Trainer& trainer,
                     std::int64_t seq_length) {
  const at::NoGradGuard no_grad;
  const fs::path final = folder / fmt::format("{}{:06}", kStepPrefix, trainer.steps_done());
  const fs::path partial = final.string() + ".partial";
  const bool writes = engine.world().rank() == 0;
  const std::vector<std::string> names = part_names(trainer.optimizer().spec(), kVersion);
  std::unique_ptr<models::SafetensorsWriter> writer;
  if (writes) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    fs::create_directories(partial, ignored);
    const at::ScalarType dtype = runtime::state_scalar_type(engine.plan().precision);
    writer = std::make_unique<models::SafetensorsWriter>(partial / kStateFile,
                                                         entries(engine.model(), names, dtype));
  }
  const std::vector<OwnedTensor> tensors = parts(trainer.optimizer());
  for (std::size_t i = 0; i < names.size(); ++i) {
    for_each_whole_parameter(
        engine, tensors[i], [&](int layer, const spec::ParamSpec& param, const at::Tensor& whole) {
          const spec::LayerSpec& layer_spec = engine.model().layer(layer);
          writer->write(entry_name(names[i], layer_spec.full_name(param)), whole);
        });
  }
  if (writes) {
    writer->finish();
    write_json_file(partial / kInfoFile, progress_json(engine.model(), trainer, seq_length));
    std::error_code error;
    fs::remove_all(final, error);
    fs::rename(partial, final, error);
    if (error)
      throw RuntimeFailure("cannot write the checkpoint ", final.string(), ": ", error.message());
  }
  engine.world().all().barrier();
}

fs::path find_checkpoint(const fs::path& path) {
  if (fs::exists(path / kInfoFile)) return path;
  std::optional<std::int64_t> best;
  fs::path found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && (!best || *step > *best)) best = step, found = entry.path();
  }
  if (!best) throw ConfigError("[checkpoint] there is no checkpoint in ", path.string());
  return found;
}

void check_checkpoint(const fs::path& checkpoint, const spec::ModelSpec& model,
                      const spec::JobSpec& job, std::int64_t num_steps) {
  const Progress progress = read_progress(checkpoint);
  const std::string name = checkpoint.string();
  if (progress.seq_length != job.seq_length) {
    throw ConfigError("[checkpoint] ", name, " was trained with sequences of ", progress.seq_length,
                      " tokens, not ", job.seq_length);
  }
  if (progress.optimizer != job.optimizer->name) {
    throw ConfigError("[checkpoint] ", name, " was trained with optimizer ", progress.optimizer,
                      ", whose states ", job.optimizer->name, " cannot go on from; resume with ",
                      progress.optimizer,
                      ", or start anew from its weights: --export and --init-from");
  }
  if (progress.steps_done >= num_steps) {
    throw ConfigError("[checkpoint] ", name, " has done ", progress.steps_done, " steps; --steps ",
                      num_steps, " leaves none to do");
  }
  const models::SafetensorsReader reader(checkpoint / kStateFile);
  for (const models::TensorInfo& expected :
       entries(model, part_names(*job.optimizer, progress.version),
               runtime::state_scalar_type(job.precision))) {
    const models::TensorInfo* actual = reader.find(expected.name);
    if (actual == nullptr || actual->shape != expected.shape || actual->dtype != expected.dtype) {
      throw ConfigError("[checkpoint] ", name, " does not fit model '", model.name,
                        "': ", expected.name, " must be ", models::dtype_name(expected.dtype), " ",
                        models::shape_text(expected.shape),
                        actual == nullptr ? ", but is missing"
                                          : ", not " + models::dtype_name(actual->dtype) + " " +
                                                models::shape_text(actual->shape));
    }
  }
}

void load_checkpoint(const fs::path& checkpoint, runtime::Engine& engine, Trainer& trainer) {
  const at::NoGradGuard no_grad;
  const models::SafetensorsReader reader(checkpoint / kStateFile);
  const Progress progress = read_progress(checkpoint);
  const std::vector<std::string> names = part_names(trainer.optimizer().spec(), progress.version);
  const std::vector<OwnedTensor> tensors = parts(trainer.optimizer());
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (runtime::ParamUnit* unit : engine.units()) {
      for (const runtime::ParamSlot& slot : unit->slots()) {
        copy_owned(*unit, slot, reader.view(entry_name(names[i], slot.full_name)),
                   tensors[i](*unit));
      }
    }
  }
  engine.publish();
  trainer.optimizer().set_num_steps(progress.optimizer_steps);
  trainer.loss_scaler().set_state(progress.scaler);
  trainer.set_progress(progress.steps_done, progress.samples_consumed);
}

}  // namespace galvatron::train
