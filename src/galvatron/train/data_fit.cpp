#include "galvatron/train/data_fit.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/data/corpus_info.h"
#include "galvatron/data/data_files.h"
#include "galvatron/data/indexed_dataset.h"
#include "galvatron/data/npy_array.h"
#include "galvatron/data/tokenizer_file.h"
#include "galvatron/spec/span_corruption.h"
#include "galvatron/train/job_samples.h"
#include "galvatron/train/text_cache.h"
#include "galvatron/train/text_samples.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLongestSequence = 1024;  // where nothing says another

bool are_files(const TrainJob& job) { return job.data != kSyntheticData && !job.make_samples; }

void refuse_auto(const TrainJob& job, const char* option, const char* way_out) {
  const std::string what = job.data == kSyntheticData ? "synthetic data have what the model has"
                                                      : "data from Python do not say it";
  throw ConfigError("[train] ", option, " auto follows the data, and ", what, "; ", way_out);
}

// Tokens that a token pair has.
std::int64_t pair_vocabulary(const std::string& prefix) {
  data::require_data_files(prefix, {".bin", ".idx"});
  if (const auto info = data::read_corpus_info(prefix)) return info->vocab_size;
  const data::IndexedDataset dataset(prefix);
  if (dataset.num_tokens() == 0) return 0;
  return dataset.most_extreme_token({0, dataset.num_tokens()}).id + 1;
}

// Tokens that the text may have. What is text still will be tokenized by the job's tokenizer.
std::int64_t text_vocabulary(const TrainJob& job, const spec::ModelSpec& model) {
  std::int64_t out = 0;
  if (const fs::path tokenizer = find_tokenizer(job); !tokenizer.empty())
    out = data::vocabulary_size(tokenizer);
  if (!are_files(job)) return out;
  for (const std::string& name : data_names(job, model)) {
    if (!is_text(name)) out = std::max(out, pair_vocabulary(name));
  }
  return out;
}

bool tokenizer_has(const TrainJob& job, std::initializer_list<const char*> names) {
  const fs::path tokenizer = find_tokenizer(job);
  if (tokenizer.empty()) return false;
  return std::any_of(names.begin(), names.end(), [&](const char* name) {
    return data::find_token(tokenizer, name).has_value();
  });
}

// Masked tokens need one to hide others behind. `vocabulary` grows by it where no text has one.
void add_mask_token(TrainJob& job, std::int64_t& vocabulary) {
  if (job.mask_token.empty()) {
    if (!tokenizer_has(job, {"[MASK]", "<mask>"})) job.mask_token = std::to_string(vocabulary++);
    return;
  }
  std::int64_t id = 0;
  const std::string& text = job.mask_token;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc() && *rest == '\0') vocabulary = std::max(vocabulary, id + 1);
}

void fit_vocabulary(TrainJob& job) {
  TrainJob unfitted = job;
  unfitted.overrides.vocab_size.reset();
  const spec::ModelSpec model = load_job_model(unfitted);
  if (model.task == spec::Task::kImageClasses) {
    throw ConfigError("[train] --vocab-size auto, but model '", model.name,
                      "' reads images, which have no vocabulary; --num-classes auto fits its "
                      "classes to the data");
  }
  if (!job.init_from.empty()) {
    throw ConfigError("[train] --vocab-size auto makes embeddings of another size than the ",
                      model.vocab_size, " tokens that ", job.init_from,
                      " brings; leave it away, or begin with random weights");
  }
  std::int64_t vocabulary = text_vocabulary(job, model);
  if (vocabulary == 0 || job.data == kSyntheticData)
    refuse_auto(job, "--vocab-size", "give a number, or the --tokenizer of the data");
  if (model.task == spec::Task::kMaskedTokens) add_mask_token(job, vocabulary);
  if (model.task == spec::Task::kSequenceToSequence && !job.make_samples &&
      !tokenizer_has(job, {"<extra_id_0>"})) {
    const std::int64_t length = model.choose_seq_length(job.seq_length, kLongestSequence);
    vocabulary += spec::span_corruption(length).spans;  // sentinels
  }
  job.overrides.vocab_size = round_up(vocabulary, job.vocab_multiple);
}

std::vector<std::string> names_of_classes(const std::string& prefix) {
  const fs::path path = prefix + ".images.json";
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const Json json = read_json_file(path);
  JsonReader reader(json, path.string());
  std::vector<std::string> out;
  if (!reader.has("classes")) return out;
  for (const Json& name : reader.get_array("classes")) {
    if (!name.is_string())
      throw ConfigError("[data] ", path.string(), ": classes must be a list of names");
    out.push_back(name.get<std::string>());
  }
  return out;
}

void fit_classes(TrainJob& job) {
  if (!are_files(job)) refuse_auto(job, "--num-classes", "give a number");
  TrainJob unfitted = job;
  unfitted.num_classes.reset();
  std::int64_t classes = 2;
  for (const std::string& name : data_names(job, load_job_model(unfitted))) {
    const auto named = static_cast<std::int64_t>(names_of_classes(name).size());
    const data::NpyArray labels(name + ".labels.npy");
    const at::Tensor all = labels.view();
    const std::int64_t used = all.numel() == 0 ? 0 : all.max().item().toLong() + 1;
    classes = std::max({classes, named, used});
  }
  job.num_classes = classes;
}

// Of a blend those that all its parts agree on.
std::vector<std::string> common_names(const std::vector<std::string>& data) {
  std::vector<std::string> out = names_of_classes(data.front());
  const bool agree = std::ranges::all_of(
      data, [&](const std::string& name) { return names_of_classes(name) == out; });
  return agree ? out : std::vector<std::string>{};
}

// One number for each channel.
std::vector<double> for_channels(const std::vector<double>& values, std::int64_t channels) {
  return values.size() == 1 ? std::vector<double>(static_cast<std::size_t>(channels), values[0])
                            : values;
}

}  // namespace

spec::ModelSpec load_job_model(const TrainJob& job) {
  if (job.model_source().empty() && !job.stored_model)
    throw ConfigError("[train] give --model or --init-from");
  spec::ModelSpec model =
      job.stored_model
          ? spec::model_from_config(job.stored_model->config, job.stored_model->name, job.overrides)
          : spec::load_model(job.model_source(), job.overrides);
  if (!job.num_classes || *job.num_classes == model.image.num_classes) return model;
  if (model.task != spec::Task::kImageClasses) {
    throw ConfigError("[train] --num-classes ", *job.num_classes, ", but model '", model.name,
                      "' learns tokens, not classes; leave it away");
  }
  Json config = model.config;
  for (const char* names : {"id2label", "label2id"}) config.erase(names);
  config["num_labels"] = *job.num_classes;
  return spec::model_from_config(config, model.name);
}

void fit_to_data(TrainJob& job) {
  if (job.fits_classes) fit_classes(job);
  if (job.fits_vocabulary) fit_vocabulary(job);
}

std::string model_for_commands(const TrainJob& job, const spec::ModelSpec& model,
                               const std::string& folder) {
  if (!job.num_classes) return job.model_source();
  const std::string classes = std::to_string(*job.num_classes) + "-classes";
  const fs::path file = fs::path(folder) / classes / (model.name + ".json");
  fs::create_directories(file.parent_path());
  write_file_atomically(file, model.config.dump(2) + "\n");
  return file.string();
}

void describe_images(const TrainJob& job, const spec::ModelSpec& model, ExportOptions& out) {
  if (model.task != spec::Task::kImageClasses || !are_files(job)) return;
  std::vector<std::string> data;
  try {
    data = data_names(job, model);
  } catch (const ConfigError&) {  // of a checkpoint whose list of data is gone
    return;
  }
  std::error_code error;
  if (data.empty() || !fs::exists(data.front() + ".images.npy", error)) return;
  const std::string pixels = data.front() + ".images.npy";
  std::vector<std::string> names = common_names(data);
  if (static_cast<std::int64_t>(names.size()) == model.image.num_classes)
    out.class_names = std::move(names);
  constexpr int kBilinear = 2;  // in Pillow
  constexpr double kBrightest = 255;
  const bool are_bytes = data::NpyArray(pixels).type() == at::kByte;
  out.preprocessor = {{"image_processor_type", "ViTImageProcessor"},
                      {"do_resize", true},
                      {"size", {{"height", model.image.height}, {"width", model.image.width}}},
                      {"resample", kBilinear},
                      // What is stored as numbers is taken as it is.
                      {"do_rescale", are_bytes},
                      {"rescale_factor", 1 / kBrightest},
                      {"do_normalize", true},
                      {"image_mean", for_channels(job.images.mean, model.image.channels)},
                      {"image_std", for_channels(job.images.std, model.image.channels)}};
}

}  // namespace galvatron::train
