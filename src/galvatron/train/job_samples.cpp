#include "galvatron/train/job_samples.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include <ATen/core/Tensor.h>

#include "galvatron/base/error.h"
#include "galvatron/base/units.h"
#include "galvatron/data/blended_samples.h"
#include "galvatron/data/corpus_info.h"
#include "galvatron/data/data_files.h"
#include "galvatron/data/image_samples.h"
#include "galvatron/data/mixed_images.h"
#include "galvatron/train/checksum.h"
#include "galvatron/train/text_cache.h"
#include "galvatron/train/text_samples.h"
#include "galvatron/train/train_job.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDataOption = "--data";
constexpr const char* kValidOption = "--valid-data";
constexpr const char* kTestOption = "--test-data";

// What a part of the split is made of.
struct DataChoice {
  std::string text;
  std::string split;  // of which the part is taken
  const char* option = kDataOption;
  const char* print_prefix = "";  // in data_prints()
};

DataChoice choose_data(const TrainJob& job, data::SplitPart part) {
  if (part == data::SplitPart::kTest && !job.test_data.empty())
    return {job.test_data, "0,0,1", kTestOption, kTestPrint};
  if (job.valid_data.empty()) return {job.data, job.split};
  if (part == data::SplitPart::kTrain) return {job.data, "1,0,0"};
  return {job.valid_data, part == data::SplitPart::kValid ? "0,1,0" : "0,0,1", kValidOption,
          kValidPrint};
}

// The parts that have data of their own.
std::vector<DataChoice> all_choices(const TrainJob& job) {
  std::vector<DataChoice> out{choose_data(job, data::SplitPart::kTrain)};
  if (!job.valid_data.empty()) out.push_back(choose_data(job, data::SplitPart::kValid));
  if (!job.test_data.empty()) out.push_back(choose_data(job, data::SplitPart::kTest));
  return out;
}

bool is_something(const std::string& name) {
  std::error_code ignored;
  return name == kSyntheticData || fs::exists(name, ignored);
}

data::DataList parse_data(const DataChoice& choice, const std::vector<std::string>& suffixes) {
  return data::parse_data_list(choice.text, choice.option, [&](const std::string& name) {
    return is_something(name) || data::has_data_files(name, suffixes);
  });
}

void refuse_split(const TrainJob& job) {
  const bool is_given = std::ranges::find(job.given, "split") != job.given.end();
  if (job.valid_data.empty() || !is_given) return;
  throw ConfigError("[data] --split ", job.split, " divides --data into parts, but with ",
                    "--valid-data all of --data is for training; give one of the two");
}

void refuse_documents(const TrainJob& job, const spec::ModelSpec& model) {
  if (job.documents == data::DocumentMode::kJoined) return;
  const char* why = nullptr;
  if (job.data == kSyntheticData) why = "synthetic data have none";
  if (job.make_samples) why = "samples say it themselves, by attention_mask or position_ids";
  if (model.task == spec::Task::kImageClasses) why = "images have none";
  if (why == nullptr) return;
  throw ConfigError("[train] documents cannot be ", enum_text(job.documents), " here: ", why,
                    "; leave --documents away");
}

std::unique_ptr<data::SampleSource> make_images(const TrainJob& job, const spec::ModelSpec& model,
                                                std::int64_t seq_length, data::SplitPart part) {
  if (job.data == kSyntheticData) {
    constexpr std::int64_t kSyntheticImages = 1 << 20;
    // The parts of synthetic data differ in their seed.
    const std::uint64_t seed = job.seed + static_cast<std::uint64_t>(part);
    return std::make_unique<data::SyntheticImages>(kSyntheticImages, model.image, seq_length, seed);
  }
  return std::make_unique<data::ImageSamples>(
      data::ImageSamplesOptions{job.data, job.split, part, job.shuffle, job.seed, job.images},
      model.image, seq_length);
}

// Of the tokens of a sample, told by the documents that they are of; 0 is padding.
double pairs_within(std::span<const std::int64_t> ids) {
  double pairs = 0;
  for (std::size_t begin = 0, end = 0; begin < ids.size(); begin = end) {
    while (end < ids.size() && ids[end] == ids[begin]) ++end;
    const auto size = static_cast<double>(end - begin);
    if (ids[begin] != 0) pairs += size * size;
  }
  return pairs;
}

// Ids of one text mean nothing in the vocabulary of another.
void refuse_other_tokenizer(const data::DataList& list) {
  std::string first, checksum;
  for (const std::string& name : list.names) {
    const auto info = name == kSyntheticData ? std::nullopt : data::read_corpus_info(name);
    if (!info || info->tokenizer_checksum.empty()) continue;
    if (checksum.empty()) {
      first = name;
      checksum = info->tokenizer_checksum;
    }
    if (info->tokenizer_checksum == checksum) continue;
    throw ConfigError("[data] ", first, " and ", name, " were made with different tokenizers (",
                      checksum.substr(0, 8), " and ", info->tokenizer_checksum.substr(0, 8),
                      "): make both with the model's, galvatron-data ... --tokenizer");
  }
}

// Of one of the names.
std::unique_ptr<data::SampleSource> make_one(TrainJob job, const spec::ModelSpec& model,
                                             std::int64_t seq_length, data::SplitPart part,
                                             const DataChoice& choice) {
  const bool images = model.task == spec::Task::kImageClasses;
  job.split = choice.split;
  job.valid_data.clear();
  job.test_data.clear();
  if (job.data != kSyntheticData)
    data::require_data_files(job.data, data_suffixes(model), choice.option);
  return images ? make_images(job, model, seq_length, part)
                : make_text_samples(job, model, seq_length, part);
}

// What tells a name of `list` from the others in the prints; of a single one nothing.
std::string print_name(const DataChoice& choice, const data::DataList& list, std::size_t part) {
  std::string out = choice.print_prefix;
  if (list.names.size() > 1) out += fmt::format("part {} ", part + 1);
  return out;
}

void add_prints(OrderedJson& out, const DataChoice& choice,
                const std::vector<std::string>& suffixes) {
  const data::DataList list = parse_data(choice, suffixes);
  for (std::size_t part = 0; part < list.names.size(); ++part) {
    if (list.names[part] == kSyntheticData) continue;
    for (const std::string& suffix : suffixes) {
      const FilePrint print = file_print(list.names[part] + suffix);
      out[print_name(choice, list, part) + suffix] = {{"bytes", print.bytes},
                                                      {"checksum", print.checksum}};
    }
  }
  if (list.names.size() < 2) return;
  std::string weights;
  for (const double weight : list.weights) weights += fmt::format("{} ", weight);
  if (weights.empty()) weights = "sizes ";
  weights.pop_back();
  out[std::string(choice.print_prefix) + kBlendWeights] = {{"bytes", list.names.size()},
                                                           {"checksum", weights}};
}

}  // namespace

std::vector<std::string> data_suffixes(const spec::ModelSpec& model) {
  if (model.task == spec::Task::kImageClasses) return {".images.npy", ".labels.npy"};
  return {".bin", ".idx"};
}

void tokenize_data(TrainJob& job, const spec::ModelSpec& model) {
  if (job.make_samples || model.task == spec::Task::kImageClasses) return;
  const auto tokenize = [&](std::string& name, const DataChoice& choice) {
    if (name.empty()) return;
    const data::DataList list = parse_data(choice, data_suffixes(model));
    const data::DataList tokens = tokenize_texts(list, job, choice.option);
    if (tokens.names != list.names) name = data::to_text(tokens);
  };
  const TrainJob asked = job;
  tokenize(job.data, choose_data(asked, data::SplitPart::kTrain));
  tokenize(job.valid_data, choose_data(asked, data::SplitPart::kValid));
  tokenize(job.test_data, choose_data(asked, data::SplitPart::kTest));
}

std::unique_ptr<data::SampleSource> make_samples(const TrainJob& job, const spec::ModelSpec& model,
                                                 std::int64_t seq_length, data::SplitPart part) {
  refuse_documents(job, model);
  if (job.make_samples) return job.make_samples(model, seq_length, part);
  refuse_split(job);
  data::parse_split(job.split);
  const DataChoice choice = choose_data(job, part);
  const data::DataList list = parse_data(choice, data_suffixes(model));
  TrainJob one = job;
  std::vector<data::BlendPart> parts;
  for (const std::string& name : list.names) {
    one.data = name;
    parts.push_back({name, make_one(one, model, seq_length, part, choice)});
  }
  if (parts.size() == 1) return std::move(parts[0].samples);
  if (model.task != spec::Task::kImageClasses) refuse_other_tokenizer(list);
  std::vector<std::int64_t> shares;
  if (!list.weights.empty()) shares = data::shares_of_weights(list.weights);
  return std::make_unique<data::BlendedSamples>(std::move(parts), std::move(shares), job.seed);
}

std::unique_ptr<data::SampleSource> make_training_samples(const TrainJob& job,
                                                          const spec::ModelSpec& model,
                                                          std::int64_t seq_length) {
  const bool images = model.task == spec::Task::kImageClasses;
  if (job.mix.any() && !images) {
    const bool blends = job.mix.mixup > 0;
    throw ConfigError("[train] ", blends ? "--mixup " : "--cutmix ",
                      blends ? job.mix.mixup : job.mix.cutmix, " mixes images, and model '",
                      model.name, "' reads text; leave it away");
  }
  std::unique_ptr<data::SampleSource> out =
      make_samples(job, model, seq_length, data::SplitPart::kTrain);
  if (!job.mix.any()) return out;
  return std::make_unique<data::MixedImages>(std::move(out), model.image, job.mix, job.seed);
}

std::int64_t attended_length(const TrainJob& job, const data::SampleSource& samples) {
  if (job.documents == data::DocumentMode::kJoined) return 0;
  constexpr std::int64_t kMostSamples = 512;
  const std::int64_t count = std::min(samples.size(), kMostSamples), length = samples.seq_length();
  double pairs = 0;
  for (std::int64_t sample = 0; sample < count; ++sample) {
    const at::Tensor ids =
        samples.fetch(spec::InputKind::kDocuments, sample, {0, 1}, {0, length}).contiguous();
    pairs +=
        pairs_within(std::span(ids.data_ptr<std::int64_t>(), static_cast<std::size_t>(length)));
  }
  return std::max<std::int64_t>(1, std::llround(pairs / static_cast<double>(count * length)));
}

std::vector<std::string> data_names(const TrainJob& job, const spec::ModelSpec& model) {
  std::vector<std::string> out;
  for (const DataChoice& choice : all_choices(job)) {
    const data::DataList list = parse_data(choice, data_suffixes(model));
    std::ranges::copy_if(list.names, std::back_inserter(out),
                         [](const std::string& name) { return name != kSyntheticData; });
  }
  return out;
}

std::string first_data_name(const TrainJob& job) {
  if (job.make_samples) return "";
  try {
    return parse_data({job.data, job.split}, {".bin", ".idx"}).names.front();
  } catch (const ConfigError&) {
    return "";
  }
}

OrderedJson data_prints(const TrainJob& job, const spec::ModelSpec& model) {
  OrderedJson out = OrderedJson::object();
  if (job.make_samples) return out;
  const std::vector<std::string> suffixes = data_suffixes(model);
  for (const DataChoice& choice : all_choices(job)) add_prints(out, choice, suffixes);
  fs::path tokenizer = out.empty() ? fs::path() : find_tokenizer(job);
  if (!tokenizer.empty() && fs::is_directory(tokenizer)) tokenizer /= "tokenizer.json";
  if (tokenizer.empty() || !fs::exists(tokenizer)) return out;
  const FilePrint print = file_print(tokenizer);
  out[kTokenizerPrint] = {{"bytes", print.bytes}, {"checksum", print.checksum}};
  return out;
}

std::vector<std::string> blend_notes(const PreparedJob& prepared) {
  std::vector<std::string> out;
  const data::SampleSource* samples = prepared.samples.get();
  const auto* mixed = dynamic_cast<const data::MixedImages*>(samples);
  const auto* blend =
      dynamic_cast<const data::BlendedSamples*>(mixed != nullptr ? &mixed->images() : samples);
  if (blend == nullptr) return out;
  const std::int64_t batch = prepared.plan.global_batch;
  const std::int64_t consumed =
      std::min(prepared.job.trainer.num_steps, data::BlendOrder::kMostShares / batch) * batch;
  for (const data::BlendUse& use : blend->use_of(consumed)) {
    out.push_back(fmt::format("data: {:.4g} % {}, {} of its {} in the whole run: {:.3g} epochs",
                              100 * use.share, use.name, count_text(use.samples, "sample"),
                              use.size, use.epochs()));
  }
  return out;
}

}  // namespace galvatron::train
