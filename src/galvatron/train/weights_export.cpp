#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/base/user_path.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/hf_weights.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

// What transformers keeps beside the weights: of tokenizers, generation and image processors.
constexpr std::array<std::string_view, 13> kTokenizerFiles = {"tokenizer.json",
                                                              "tokenizer_config.json",
                                                              "special_tokens_map.json",
                                                              "vocab.json",
                                                              "vocab.txt",
                                                              "merges.txt",
                                                              "tokenizer.model",
                                                              "spiece.model",
                                                              "added_tokens.json",
                                                              "chat_template.jinja",
                                                              "generation_config.json",
                                                              "preprocessor_config.json",
                                                              "processor_config.json"};

bool is_export_file(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name == "config.json" || name == "model.safetensors.index.json") return true;
  if (name.starts_with("model") && name.ends_with(".safetensors")) return true;
  return std::find(kTokenizerFiles.begin(), kTokenizerFiles.end(), name) != kTokenizerFiles.end();
}

// Of a mounted volume or a bind mount.
bool is_mount_point(const fs::path& folder) {
  struct statx info = {};
  return statx(AT_FDCWD, folder.c_str(), 0, 0, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void check_folder(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  if (is_mount_point(folder)) {
    throw ConfigError("[weights] cannot export to ", folder.string(),
                      ": a mounted folder cannot be replaced as a whole; name a folder inside it");
  }
  if (!fs::is_directory(folder)) {
    throw ConfigError("[weights] cannot export to ", folder.string(), ": it is no folder");
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && is_export_file(entry.path())) continue;
    throw ConfigError("[weights] cannot export to ", folder.string(), ": it holds ",
                      entry.path().filename().string(),
                      ", which is no part of an export; name a new folder");
  }
}

// A folder that is removed again unless it is moved to its place.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& target) : target_(target), path_(beside("tmp")) {
    std::error_code error;
    fs::remove_all(path_, error);
    fs::create_directories(path_, error);
    if (error) {
      throw ConfigError("[weights] cannot export to ", target_.string(), ": ", error.message());
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

  void move_to_target() {
    const fs::path old = beside("old");
    const bool replaces = fs::exists(target_);
    if (replaces) fs::rename(target_, old);
    fs::rename(path_, target_);
    if (replaces) fs::remove_all(old);
  }

 private:
  fs::path beside(const char* what) const {
    fs::path path = target_;
    path += fmt::format(".{}{}", what, getpid());
    return path;
  }

  fs::path target_, path_;
};

std::string hf_dtype(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "float64";
    case at::kFloat:
      return "float32";
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    default:
      GALV_CHECK(false, "no export as ", c10::toString(dtype));
  }
}

void name_classes(OrderedJson& config, const std::vector<std::string>& names) {
  if (names.empty()) return;
  config.erase("num_labels");  // id2label has as many
  OrderedJson names_of = OrderedJson::object(), ids_of = OrderedJson::object();
  for (std::size_t id = 0; id < names.size(); ++id) {
    names_of[std::to_string(id)] = names[id];
    ids_of[names[id]] = id;
  }
  config["id2label"] = std::move(names_of);
  config["label2id"] = std::move(ids_of);
}

OrderedJson export_config(const spec::ModelSpec& model, const ExportOptions& options) {
  const at::ScalarType dtype = options.dtype;
  OrderedJson config = OrderedJson::parse(model.config.dump());
  name_classes(config, options.class_names);
  config["architectures"] = {models::hf_architecture(model)};
  config["dtype"] = hf_dtype(dtype);
  config["torch_dtype"] = hf_dtype(dtype);  // its name before transformers 4.56
  return config;
}

void copy_tokenizer(const fs::path& source, const fs::path& folder) {
  if (source.empty()) return;
  if (!fs::is_directory(source)) {
    fs::copy_file(source, folder / "tokenizer.json");
    return;
  }
  for (const std::string_view name : kTokenizerFiles) {
    if (fs::exists(source / name)) fs::copy_file(source / name, folder / name);
  }
}

// In the order of the layers, tied ones once.
template <typename Visit>
void for_each_parameter(const spec::ModelSpec& model, const Visit& visit) {
  std::set<std::string> done;
  for (int i = 0; i < model.num_layers(); ++i) {
    const spec::LayerSpec& layer = model.layer(i);
    for (const spec::ParamSpec& param : layer.params) {
      if (done.insert(layer.full_name(param)).second) visit(i, layer, param);
    }
  }
}

std::vector<models::TensorInfo> export_tensors(const spec::ModelSpec& model, at::ScalarType dtype) {
  std::vector<models::TensorInfo> tensors;
  for_each_parameter(model, [&](int i, const spec::LayerSpec&, const spec::ParamSpec& param) {
    for (const models::HfTensor& tensor : models::hf_tensors(model, i, param))
      tensors.push_back({tensor.names[0], dtype, tensor.shape});
  });
  return tensors;
}

// What rank 0 does: config and tokenizer first, weights as they come.
class ExportFolder {
 public:
  ExportFolder(const spec::ModelSpec& model, const fs::path& folder, const ExportOptions& options)
      : model_(model), temporary_(plain_path(folder)) {
    write_json_file(temporary_.path() / "config.json", export_config(model, options));
    copy_tokenizer(options.tokenizer, temporary_.path());
    if (!options.preprocessor.is_null())
      write_json_file(temporary_.path() / "preprocessor_config.json", options.preprocessor);
    writer_ = std::make_unique<models::SafetensorsWriter>(
        temporary_.path() / "model.safetensors", export_tensors(model, options.dtype),
        models::SafetensorsWriterOptions{.max_shard = options.max_shard});
  }

  void write(int layer, const spec::ParamSpec& param, const at::Tensor& whole) {
    for (const models::HfTensor& tensor : models::hf_tensors(model_, layer, param)) {
      writer_->write(tensor.names[0], models::to_hf(tensor, param, whole));
    }
  }

  void write(const std::string& name, const at::Tensor& value) { writer_->write(name, value); }

  void finish() {
    writer_->finish();
    temporary_.move_to_target();
  }

 private:
  const spec::ModelSpec& model_;
  TemporaryFolder temporary_;
  std::unique_ptr<models::SafetensorsWriter> writer_;
};

// True on every rank when rank 0 has nothing to complain of.
bool agree(runtime::Engine& engine, bool mine) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(engine.world().device());
  at::Tensor failures = at::full({1}, mine ? 0.0 : 1.0, options);
  engine.world().all().all_reduce(failures);
  return failures.item<float>() == 0;
}

// Rank 0's folder; nothing on the others. When it cannot be made no rank goes on.
std::unique_ptr<ExportFolder> open_export(runtime::Engine& engine, const fs::path& folder,
                                          const ExportOptions& options) {
  std::unique_ptr<ExportFolder> out;
  std::exception_ptr problem;
  if (engine.world().rank() == 0) {
    try {
      check_export(folder, options);
      out = std::make_unique<ExportFolder>(engine.model(), folder, options);
    } catch (...) {
      problem = std::current_exception();
    }
  }
  if (agree(engine, problem == nullptr)) return out;
  if (problem) std::rethrow_exception(problem);
  throw ConfigError("[weights] rank 0 cannot export to ", folder.string());
}

}  // namespace

void check_export(const fs::path& folder, const ExportOptions& options) {
  refuse_address(folder.string(), "[weights] the export's folder");
  check_folder(plain_path(folder));
  if (!options.tokenizer.empty() && !fs::exists(options.tokenizer)) {
    throw ConfigError("[weights] there is no tokenizer at ", options.tokenizer.string());
  }
}

void try_export(const fs::path& folder) { const TemporaryFolder beside(plain_path(folder)); }

void save_weights(const spec::ModelSpec& model, const HfTensorSource& tensor,
                  const fs::path& folder, const ExportOptions& options) {
  check_export(folder, options);
  ExportFolder out(model, folder, options);
  for (const models::TensorInfo& info : export_tensors(model, options.dtype)) {
    out.write(info.name, tensor(info.name));
  }
  out.finish();
}

void save_parameters(const spec::ModelSpec& model, const WholeParameterSource& parameter,
                     const fs::path& folder, const ExportOptions& options) {
  check_export(folder, options);
  ExportFolder out(model, folder, options);
  for_each_parameter(model, [&](int i, const spec::LayerSpec& layer, const spec::ParamSpec& param) {
    out.write(i, param, parameter(layer, param));
  });
  out.finish();
}

void export_weights(runtime::Engine& engine, const fs::path& folder, const ExportOptions& options) {
  const std::unique_ptr<ExportFolder> out = open_export(engine, folder, options);
  for_each_whole_parameter(
      engine, [](runtime::ParamUnit& unit) { return unit.master(); },
      [&](int layer, const spec::ParamSpec& param, const at::Tensor& whole) {
        out->write(layer, param, whole);
      });
  if (out) out->finish();
  engine.world().all().barrier();
}

}  // namespace galvatron::train
