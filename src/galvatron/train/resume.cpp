#include "galvatron/train/resume.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/units.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/checkpoint.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/job_samples.h"
#include "galvatron/train/train_job.h"
#include "galvatron/train/train_options.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kPlaces = {"model", "init_from", "data", "valid_data",
                                                     "test_data"};
// Of a config.json, what says nothing about the model.
constexpr std::array<std::string_view, 5> kIdleConfigKeys = {
    "_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures"};

template <std::size_t N>
bool is_among(const std::array<std::string_view, N>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Samples that Python makes have their order before the checkpoint is read.
bool is_settled(const TrainJob& job, const std::string& name) {
  const bool made = job.make_samples && (name == "seed" || name == "shuffle");
  return made || std::find(job.given.begin(), job.given.end(), name) != job.given.end();
}

void take_batch_and_precision(const ResumePoint& resume, TrainJob& job) {
  if (!job.plan.empty() || resume.index.global_batch == 0) return;
  if (!job.global_batch) job.global_batch = resume.index.global_batch;
  if (job.precision) return;
  job.precision = resume.index.precision;
  const Json options(resume.index.options);
  const Json* was = find_value(options, "fp8");
  if (was != nullptr && !is_settled(job, "fp8")) job.fp8 = *was == Json(true);
}

void refuse_other_model(const ResumePoint& resume, const spec::ModelSpec& model) {
  if (resume.index.model_config.is_null()) return;
  const Json then(resume.index.model_config);
  const std::string key = first_difference(
      then, model.config, [](const std::string& name) { return !is_among(kIdleConfigKeys, name); });
  if (key.empty()) return;
  throw ConfigError("[checkpoint] ", resume.checkpoint().string(), " is of model '",
                    resume.index.model, "' with ", key, " ", value_text(find_value(then, key)),
                    ", but '", model.name, "' has ", value_text(find_value(model.config, key)),
                    "; resume with the checkpoint's model, or start anew from its weights "
                    "(--load-weights-only)");
}

constexpr const char* kOtherDataWayOut =
    "; give it the same data, or start anew from its weights (--load-weights-only)";

// Nothing is learned from them.
bool is_of_test(const std::string& name) { return name.starts_with(kTestPrint); }

// Which parts there are: without what may be missing or another, and what is compared by itself.
std::string parts_text(const Json& prints) {
  std::vector<std::string> names;
  for (const auto& [name, print] : prints.items()) {
    if (is_of_test(name)) continue;
    if (name != kTokenizerPrint && !name.ends_with(kBlendWeights)) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void refuse_other_data(const ResumePoint& resume, const OrderedJson& prints) {
  const Json then(resume.index.data), now(prints);
  const std::string checkpoint = resume.checkpoint().string();
  if (const std::string was = parts_text(then), is = parts_text(now);
      !was.empty() && !is.empty() && was != is) {
    throw ConfigError("[checkpoint] ", checkpoint, " was trained on the files ", was,
                      ", this data has ", is, kOtherDataWayOut);
  }
  for (const auto& [file, print] : now.items()) {
    const Json* was = find_value(then, file);
    if (was == nullptr || *was == print || is_of_test(file)) continue;
    if (file.ends_with(kBlendWeights)) {
      throw ConfigError("[checkpoint] ", checkpoint, " was trained on a blend of the weights ",
                        was->at("checksum").get<std::string>(), ", this one has ",
                        print.at("checksum").get<std::string>(), kOtherDataWayOut);
    }
    throw ConfigError(
        "[checkpoint] ", checkpoint, " was trained on other data: its ", file, " had ",
        was->at("bytes").dump(), " bytes (", value_text(&was->at("checksum")), "), this one has ",
        print.at("bytes").dump(), " (", value_text(&print.at("checksum")), ")", kOtherDataWayOut);
  }
}

void refuse_other_batch(const ResumePoint& resume, const PreparedJob& prepared) {
  const std::int64_t then = resume.index.global_batch, now = prepared.plan.global_batch;
  if (then == 0 || then == now || prepared.job.global_batch) return;
  throw ConfigError("[checkpoint] ", resume.checkpoint().string(),
                    " was trained with a global batch of ", then, ", the plan has ", now,
                    "; give --global-batch ", then, " to go on as before, or --global-batch ", now,
                    " to change it");
}

// Who goes on from before the newest checkpoint gives those behind it up, one by one.
void note_later_steps(const TrainJob& job, ResumePoint& resume) {
  if (job.save_dir.empty() || job.load_weights_only) return;
  const std::int64_t later = num_later_checkpoints(job.save_dir, resume.index.steps_done);
  if (later == 0) return;
  resume.notes.push_back(
      fmt::format("{} of later steps in {}: this run replaces them as it comes to their steps",
                  count_text(later, "checkpoint"), job.save_dir));
}

}  // namespace

void ResumePoint::give_up_first(const DamagedCheckpoint& damage) {
  if (candidates.size() <= 1) throw DamagedCheckpoint(damage);
  candidates.erase(candidates.begin());
  notes.push_back(fmt::format("{}; going on from {}", damage.what(), checkpoint().string()));
}

ResumePoint find_resume_point(const TrainJob& job) {
  ResumePoint out;
  if (job.resume.empty()) {
    if (job.load_weights_only)
      throw ConfigError("[train] --load-weights-only needs --resume: whose weights?");
    return out;
  }
  const bool is_auto = job.resume == kAutoResume;
  if (is_auto && job.save_dir.empty())
    throw ConfigError("[train] --resume auto goes on from the checkpoints in --save; give --save");
  const fs::path place = is_auto ? job.save_dir : job.resume;
  if (is_auto && !run_of_folder(place)) {
    if (fs::exists(latest_file(place))) {
      throw ConfigError("[checkpoint] ", latest_file(place).string(),
                        " names a checkpoint, but there is none in ", place.string(),
                        ": bring it back, or remove the file 'latest' to begin a new run");
    }
    out.notes.push_back(fmt::format("no checkpoint in {} yet: a new run", place.string()));
    return out;
  }
  CheckpointCandidates found = checkpoint_candidates(place);
  out.candidates = std::move(found.paths);
  if (!found.note.empty()) out.notes.push_back(std::move(found.note));
  while (true) {
    try {
      out.index = read_index(out.checkpoint());
      note_later_steps(job, out);
      return out;
    } catch (const DamagedCheckpoint& damage) {
      out.give_up_first(damage);
    }
  }
}

void take_options(const ResumePoint& resume, TrainJob& job) {
  if (resume.starts_anew() || job.load_weights_only) return;
  take_batch_and_precision(resume, job);
  if (resume.index.options.is_null()) return;
  const OptionList list = train_options(job);
  const Json now(list.record({kModelOptions, spec::kOverrideOptions, kImageOptions})),
      then(resume.index.options);
  for (const Option& option : list.all()) {
    const std::string name = option.python_name();
    // Numbers of the model that are given are compared as a part of its config.
    const bool is_number = option.group == spec::kOverrideOptions && !is_settled(job, name);
    const bool is_taken =
        option.group == kModelOptions || option.group == kImageOptions || is_number;
    if (!is_taken || is_place(name)) continue;
    const Json *was = find_value(then, name), *is = find_value(now, name);
    if (was != nullptr && is != nullptr && *was == *is) continue;
    if (is_settled(job, name)) {
      throw ConfigError("[checkpoint] ", resume.checkpoint().string(), " was trained with ", "--",
                        option.name, " ", value_text(was), ", not ", value_text(is),
                        "; leave it away to go on as before, or start anew from its weights "
                        "(--load-weights-only)");
    }
    if (was != nullptr) list.read(Json{{name, *was}}, resume.checkpoint().string());
  }
}

void check_resume(ResumePoint& resume, const PreparedJob& prepared) {
  const TrainJob& job = prepared.job;
  spec::JobSpec spec = job_spec(job, prepared.seq_length);
  spec.precision = prepared.plan.precision;
  while (!resume.starts_anew()) {
    try {
      resume.index = read_index(resume.checkpoint());
      check_checkpoint(resume.checkpoint(), prepared.model, spec, job.trainer.num_steps,
                       job.load_weights_only);
      break;
    } catch (const DamagedCheckpoint& damage) {
      resume.give_up_first(damage);
    }
  }
  if (resume.starts_anew() || job.load_weights_only) return;
  refuse_other_model(resume, prepared.model);
  refuse_other_data(resume, prepared.data_prints);
  refuse_other_batch(resume, prepared);
}

bool is_place(const std::string& option) { return is_among(kPlaces, option); }

std::string changed_options(const ResumePoint& resume, const OrderedJson& options) {
  if (resume.starts_anew() || resume.index.options.is_null()) return "";
  const Json now(options), then(resume.index.options);
  std::vector<std::string> changes;
  for (const auto& [name, value] : now.items()) {
    const Json* was = find_value(then, name);
    if (is_place(name) || was == nullptr || *was == value) continue;
    changes.push_back(
        fmt::format("--{} {} -> {}", dashed(name), value_text(was), value_text(&value)));
  }
  if (changes.empty()) return "";
  return fmt::format("other options than before: {}", fmt::join(changes, ", "));
}

}  // namespace galvatron::train
