#include "galvatron/train/text_samples.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "galvatron/base/error.h"
#include "galvatron/data/corpus_info.h"
#include "galvatron/data/masked_samples.h"
#include "galvatron/data/next_token_samples.h"
#include "galvatron/data/packed_samples.h"
#include "galvatron/data/span_samples.h"
#include "galvatron/data/synthetic_samples.h"
#include "galvatron/data/token_samples.h"
#include "galvatron/data/tokenizer_file.h"
#include "galvatron/train/job_samples.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSyntheticSamples = 1 << 20;

// Rows of `row_length` tokens below `vocab_size`; packed, a document takes `taken_by`.
std::unique_ptr<data::TokenRows> make_rows(const TrainJob& job, std::int64_t vocab_size,
                                           std::int64_t row_length, data::SplitPart part,
                                           const data::PackedSamples::SizeOf& taken_by = {}) {
  if (job.data == kSyntheticData) {
    // The parts of synthetic data differ in their seed.
    const std::uint64_t seed = job.seed + static_cast<std::uint64_t>(part);
    return std::make_unique<data::SyntheticSamples>(kSyntheticSamples, row_length, vocab_size,
                                                    seed);
  }
  const data::TokenSamplesOptions options{
      job.data,
      row_length,
      job.split,
      part,
      job.shuffle,
      job.seed,
      /*keep_documents_apart=*/job.documents != data::DocumentMode::kJoined};
  if (job.documents == data::DocumentMode::kPacked)
    return std::make_unique<data::PackedSamples>(options, vocab_size, taken_by);
  return std::make_unique<data::TokenSamples>(options, vocab_size);
}

std::optional<std::int64_t> find_token(const fs::path& tokenizer, const std::string& text) {
  return tokenizer.empty() ? std::nullopt : data::find_token(tokenizer, text);
}

std::optional<std::int64_t> parse_id(const std::string& text) {
  std::int64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id);
  return error == std::errc() && rest == end ? std::optional(id) : std::nullopt;
}

std::int64_t mask_token(const TrainJob& job, const spec::ModelSpec& model) {
  const fs::path tokenizer = find_tokenizer(job);
  std::optional<std::int64_t> id;
  if (!job.mask_token.empty()) {
    id = parse_id(job.mask_token);
    if (!id) id = find_token(tokenizer, job.mask_token);
    if (!id) {
      throw ConfigError("[train] --mask-token '", job.mask_token, "' is no number, and ",
                        tokenizer.empty() ? "there is no tokenizer to look it up in"
                                          : tokenizer.string() + " has no such token");
    }
  } else if (job.data == kSyntheticData) {
    id = model.vocab_size - 1;
  } else {
    for (const char* usual : {"[MASK]", "<mask>"}) {
      if (!id) id = find_token(tokenizer, usual);
    }
    if (!id) {
      throw ConfigError(
          "[train] ", job.data,
          " comes with no tokenizer that has [MASK] or <mask>, and training with masked tokens "
          "needs one; name it with --mask-token, by its text or as an id that the text does not "
          "use, such as ",
          model.vocab_size - 1);
    }
  }
  if (*id < 0 || *id >= model.vocab_size) {
    throw ConfigError("[train] the mask token has id ", *id, ", outside the vocabulary of ",
                      model.vocab_size, " of model '", model.name, "'");
  }
  return *id;
}

std::unique_ptr<data::SampleSource> masked_samples(const TrainJob& job,
                                                   const spec::ModelSpec& model,
                                                   std::int64_t seq_length, data::SplitPart part) {
  data::MaskingOptions options{mask_token(job, model), job.seed, {}};
  if (job.whole_words) {
    const fs::path tokenizer = find_tokenizer(job);
    if (tokenizer.empty()) {
      throw ConfigError("[train] --whole-words needs to know what a word is, and ", job.data,
                        " comes with no tokenizer; name one with --tokenizer");
    }
    options.words = data::read_word_pieces(tokenizer, model.vocab_size);
  }
  return std::make_unique<data::MaskedSamples>(make_rows(job, model.vocab_size, seq_length, part),
                                               options);
}

// Sentinels of the tokenizer, or the last tokens of the vocabulary. `vocab_size` is then what is
// left for the text.
struct Sentinels {
  std::int64_t first = 0;
  std::int64_t vocab_size = 0;
};

Sentinels choose_sentinels(const TrainJob& job, const spec::ModelSpec& model, std::int64_t spans) {
  const auto known = find_token(find_tokenizer(job), "<extra_id_0>");
  if (known && *known < model.vocab_size && *known + 1 >= spans) return {*known, model.vocab_size};
  const Sentinels out{model.vocab_size - 1, model.vocab_size - spans};
  const auto info = job.data == kSyntheticData ? std::nullopt : data::read_corpus_info(job.data);
  const std::int64_t text = info ? info->vocab_size : 2;
  if (out.vocab_size < text) {
    throw ConfigError("[train] span corruption needs ", spans,
                      " sentinels beside the vocabulary of ", text, " of ", job.data,
                      ", but model '", model.name, "' has ", model.vocab_size,
                      " tokens; choose a model with vocab_size ", text + spans,
                      " or more, or a shorter --seq-length");
  }
  return out;
}

std::unique_ptr<data::SampleSource> span_samples(const TrainJob& job, const spec::ModelSpec& model,
                                                 std::int64_t seq_length, data::SplitPart part) {
  if (seq_length < 3) {
    throw ConfigError("[train] --seq-length ", seq_length,
                      " is too short for span corruption, which needs at least 3 tokens");
  }
  const spec::SpanCorruption lengths = spec::span_corruption(seq_length);
  const Sentinels sentinels = choose_sentinels(job, model, lengths.spans);
  JsonReader reader(model.config, model.name, Nulls::kAbsent);
  const std::int64_t last = model.vocab_size - 1;
  data::SpanOptions options;
  options.first_sentinel = sentinels.first;
  options.end_token = reader.get_int_or("eos_token_id", 1, 0, last);
  options.start_token = reader.get_int_or("decoder_start_token_id",
                                          reader.get_int_or("pad_token_id", 0, 0, last), 0, last);
  options.seed = job.seed;
  const auto taken_by = [lengths](std::int64_t text) { return spec::tokens_taken(text, lengths); };
  return std::make_unique<data::SpanSamples>(
      make_rows(job, sentinels.vocab_size, lengths.text, part, taken_by), seq_length, options);
}

}  // namespace

std::unique_ptr<data::SampleSource> make_text_samples(const TrainJob& job,
                                                      const spec::ModelSpec& model,
                                                      std::int64_t seq_length,
                                                      data::SplitPart part) {
  switch (model.task) {
    case spec::Task::kNextToken:
      return std::make_unique<data::NextTokenSamples>(
          make_rows(job, model.vocab_size, seq_length, part));
    case spec::Task::kMaskedTokens:
      return masked_samples(job, model, seq_length, part);
    case spec::Task::kSequenceToSequence:
      return span_samples(job, model, seq_length, part);
    case spec::Task::kImageClasses:
      break;
  }
  GALV_CHECK(false, spec::to_text(model.task), " is no task of text");
}

fs::path find_tokenizer(const TrainJob& job) {
  if (!job.tokenizer.empty()) return job.tokenizer;
  const std::string name = first_data_name(job);
  if (!name.empty() && name != kSyntheticData) {
    const auto corpus = data::read_corpus_info(name);
    if (corpus && !corpus->tokenizer.empty() && fs::exists(corpus->tokenizer))
      return corpus->tokenizer;
  }
  const bool in_checkpoint =
      !job.init_from.empty() && fs::exists(fs::path(job.init_from) / "tokenizer.json");
  return in_checkpoint ? fs::path(job.init_from) : fs::path();
}

}  // namespace galvatron::train
