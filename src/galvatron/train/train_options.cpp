#include "galvatron/train/train_options.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::train {
namespace {

constexpr std::int64_t kMostNumber = 1 << 30;  // of tokens and classes
constexpr const char* kDataCacheHelp =
    "Where text becomes tokens; default: tokens in ~/.cache/galvatron";

void add_model_options(OptionList& list, TrainJob& job) {
  list.group(kModelOptions);
  list.path("model", job.model, "Preset name, config.json, or a folder that holds one");
  list.path("init-from", job.init_from,
            "Hugging Face checkpoint folder whose weights are the first ones; without it they are "
            "random");
  list.path("data", job.data,
            "PREFIX of PREFIX.bin and PREFIX.idx, for image models of PREFIX.images.npy and "
            "PREFIX.labels.npy; text (.txt, .jsonl, .parquet, a folder of them), with a tokenizer; "
            "'synthetic'; or a blend of several, \"0.7 A 0.3 B\" or @FILE")
      .required();
  list.path("valid-data", job.valid_data,
            "The same for evaluations; all of data is for training then, and nothing is split");
  list.path("test-data", job.test_data,
            "The same for a test after the last step, of all its samples; the test part of split "
            "is not used then");
  list.text("text-field", job.text_field,
            "Field of JSON lines, or column of Parquet files, that holds the text");
  list.text("split", job.split, "Weights of training, validation and test samples");
  list.on_off("shuffle", job.shuffle,
              "New order of samples in each epoch; false: the order of the file");
  list.choice(
      "documents", job.documents,
      "joined: samples are cut from one row of all texts; masked: a token of them sees its "
      "own text alone, whose positions start at 0; packed: samples of whole texts, the rest "
      "of each is padding");
  list.text("mask-token", job.mask_token,
            "Text or id of the token that hides others (BERT); default: the tokenizer's [MASK] or "
            "<mask>");
  list.flag("whole-words", job.whole_words,
            "Hide whole words instead of single tokens (BERT); needs the tokenizer");
  list.count("seq-length", job.seq_length, {.min = 1},
             "Tokens per sample; default: what the model allows, at most 1024")
      .says_default();
  list.seed("seed", job.seed, "Seed of first weights, dropout and data order");
}

// A number, or "auto" for what the data have.
Option fitted_to_data(Option option, bool& fits) {
  option.kind = OptionKind::kAmount;  // a number or a text
  option.placeholder = "N|auto";
  option.parse = [parse_number = option.parse, &fits](const std::string& text,
                                                      const std::string& shown) {
    fits = text == "auto";
    if (!fits) parse_number(text, shown);
  };
  return option;
}

void add_model_numbers(OptionList& list, TrainJob& job) {
  OptionList numbers = spec::model_override_options(job.overrides);
  OptionList fitted;
  fitted.group(spec::kOverrideOptions);
  Option& vocabulary = fitted.count("vocab-size", job.overrides.vocab_size, {1, kMostNumber},
                                    "Tokens of the vocabulary; auto: as many as the data and "
                                    "their tokenizer have");
  vocabulary = fitted_to_data(vocabulary, job.fits_vocabulary);
  fitted.count("vocab-multiple", job.vocab_multiple, {1, kMostNumber},
               "What --vocab-size auto is made up to a multiple of");
  Option& classes =
      fitted.count("num-classes", job.num_classes, {2, kMostNumber},
                   "Classes of an image model; auto: as many as the data have. Another number than "
                   "that of --init-from begins with a random head");
  classes = fitted_to_data(classes, job.fits_classes);
  list.append(numbers.without({"vocab-size"}));
  list.append(fitted);
}

void add_image_options(OptionList& list, data::ImageTransform& images, data::ImageMix& mix) {
  constexpr double kMost = 1e6, kMostAlpha = 100;
  list.group(kImageOptions);
  list.numbers("image-mean", images.mean, {-kMost, kMost},
               "Taken off each pixel, which is in 0 .. 1 in byte images: one number, or one for "
               "each channel");
  list.numbers("image-std", images.std, {0, kMost}, "What a pixel is divided by then");
  list.count("crop-padding", images.crop_padding, {0, 4096},
             "Train on random parts of images with black borders of so many pixels");
  list.number(
      "random-crop", images.random_crop, {0, 1},
      "Train on random parts of at least this share of an image, scaled to the model's size "
      "(0.08 is usual); evaluations take the middle; 0: images have the model's size");
  list.flag("flip", images.flip, "Train on mirrored images every other time");
  list.number("mixup", mix.mixup, {0, kMostAlpha},
              "Train on images that are each blended with another, and learn both classes: the "
              "alpha of the Beta(alpha, alpha) of their shares (0.8 and 0.2 are usual); 0: never");
  list.number("cutmix", mix.cutmix, {0, kMostAlpha},
              "The same with a box of the other image in its place (1 is usual); with mixup too, "
              "either is taken every other time");
}

void add_field(OptionList& list, const plan::StrategyField<int>& field, int& value) {
  OptionList::Counts bounds{.min = field.least};
  if (!field.open_ended()) bounds.max = field.most;
  list.count(dashed(field.name), value, bounds, field.help);
}

void add_field(OptionList& list, const plan::StrategyField<bool>& field, bool& value) {
  list.on_off(dashed(field.name), value, field.help);
}

template <NamedEnum E>
void add_field(OptionList& list, const plan::StrategyField<E>& field, E& value) {
  list.choice(dashed(field.name), value, field.help);
}

void add_plan_options(OptionList& list, TrainJob& job) {
  UniformPlanOptions& uniform = job.uniform;
  list.group(kPlanOptions);
  list.count("global-batch", job.global_batch, {.min = 1},
             "Samples per step; default: the plan's, or 8");
  list.choice("precision", job.precision,
              "Of compute; default: the plan's, or what is fast on the device: bf16 on cuda, fp32 "
              "on cpu. Master weights are fp32 (fp64 for fp64)");
  list.flag("fp8", job.fp8,
            "Multiply the linear layers of blocks in float8, all else in bf16; a device that has "
            "no such products rounds alike and gains nothing");
  list.path("plan", job.plan,
            "Plan file, one strategy per layer; 'auto' profiles what is missing and searches one");

  list.append(spec::communication_options(job.communication));

  list.group(kUniformOptions);
  plan::for_each_supported_field(
      [&](const auto& field) { add_field(list, field, uniform.strategy.*field.member); });
  list.count("pp-degree", uniform.pp_degree, {.min = 1},
             "Pipeline ranks: parts of the ranks that hold different layers");
  list.count("stages-per-rank", uniform.stages_per_rank, {.min = 1},
             "Even stages that each pipeline rank runs; default: 2 for interleaved, else 1")
      .says_default();
  list.counts("layers-per-stage", uniform.layers_per_stage, {.min = 1},
              "Layers of each stage, embedding and head included; default: even. Interleaved: a "
              "multiple of pp-degree entries, stage s on pipeline rank s % pp-degree");
  list.count("num-microbatches", uniform.num_microbatches, {.min = 1},
             "Pieces of a batch that run one by one");
  list.choice(
      "schedule", plan::schedule_names(),
      "Order of microbatches in the pipeline. " + plan::schedule_help(),
      [&uniform](const std::string& name) { uniform.schedule = plan::parse_schedule(name); },
      [&uniform] { return plan::to_text(uniform.schedule); });
}

void add_optimizer_options(OptionList& list, TrainerOptions& trainer) {
  constexpr double kMostRate = 1e3, kMostNorm = 1e30;
  spec::OptimizerChoice& optimizer = trainer.optimizer;
  list.group(kOptimizerOptions);
  list.count("steps", trainer.num_steps, {.min = 1}, "Optimizer steps");
  list.number("lr", trainer.lr.peak, {0, kMostRate}, "Highest learning rate");
  list.number("min-lr", trainer.lr.min, {0, kMostRate}, "Where the schedule ends");
  list.choice("lr-schedule", trainer.lr.shape, "Shape after the warm-up");
  list.count("warmup-steps", trainer.lr.warmup_steps, {.min = 0}, "Steps of linear warm-up");
  list.count("decay-steps", trainer.lr.decay_steps, {.min = 0},
             "Last steps of wsd; 0: a fifth of all");
  list.choice("decay-shape", trainer.lr.tail, "Shape of the last steps of wsd");
  list.choice(
      "optimizer", spec::optimizer_names(), "What updates the weights",
      [&optimizer](const std::string& name) { optimizer.choose(name); },
      [&optimizer] { return optimizer.spec().name; });
  for (const spec::OptimizerOption& option : spec::optimizer_options()) {
    const std::string name = option.name;
    list.number(
            dashed(name), {option.min, option.max, option.below_max}, option.help,
            [&optimizer, name](double value) { optimizer.set(name, value); },
            [&optimizer, name] { return optimizer.find(name); })
        .shows_default(fmt::format("{}", option.standard));
  }
  list.number("end-weight-decay", trainer.weight_decay.end, {0, kMostRate},
              "Weight decay that the run ends with; it begins with weight-decay");
  list.choice("weight-decay-schedule", trainer.weight_decay.shape,
              "Shape of the way from weight-decay to end-weight-decay");
  list.texts("param-group", trainer.param_groups,
             "Parameters whose Hugging Face name a pattern matches (* any text, ? any character): "
             "'*.bias:lr=0.1x,weight_decay=0', or '*embed*:frozen'. The first that matches counts",
             "PATTERN:SETTINGS");
  list.counts(
      "batch-rampup", trainer.batch_rampup, {.min = 1},
      "START,INCREMENT,SAMPLES: a step takes START samples at first, then INCREMENT more in "
      "equal parts of SAMPLES samples up to the global batch");
  list.number("max-grad-norm", trainer.max_grad_norm, {0, kMostNorm},
              "Clip gradients above this norm; 0: never");
  list.count("max-bad-steps", trainer.max_bad_steps, {.min = 0},
             "Steps in a row that are left out where loss or gradients are not finite; one more "
             "ends the run");
}

// A number that "all" stands for, too.
void all_is_zero(Option& option) {
  option.kind = OptionKind::kAmount;  // a number or a text
  option.placeholder = "N|all";
  option.parse = [parse_number = option.parse](const std::string& text, const std::string& shown) {
    parse_number(text == "all" ? "0" : text, shown);
  };
}

auto trace_steps_setter(TrainJob& job) {
  return [&job](const std::string& text, const std::string& shown) {
    job.trainer.trace_steps = StepRanges::parse(text, shown);
  };
}

// "--trace steps=10..12" says which steps, and leaves the place as it is.
void take_trace_steps(Option& trace, TrainJob& job) {
  trace.parse = [set_place = trace.parse, set_steps = trace_steps_setter(job)](
                    const std::string& text, const std::string& shown) {
    const std::string key = "steps=";
    if (!text.starts_with(key)) return set_place(text, shown);
    set_steps(text.substr(key.size()), shown + " " + key);
  };
}

void add_output_options(OptionList& list, TrainJob& job) {
  constexpr int kMostPort = 65535;
  list.group(kOutputOptions);
  list.path("run-dir", job.run_dir,
            "Folder for metrics.jsonl, plan.json, summary.json and trace.json");
  list.path("metrics", job.metrics, "One JSON line per step; default: in --run-dir");
  list.path("csv", job.csv, "The same as a table, one row per step");
  list.count("metrics-port", job.metrics_port, {0, kMostPort},
             "Port on this machine where Prometheus reads the figures of the run, at /metrics; 0: "
             "a free one");
  take_trace_steps(
      list.path("trace", job.trace,
                "Chrome trace of the last step, all ranks; default: in --run-dir. steps=10..12,20 "
                "chooses steps, as --trace-steps does"),
      job);
  list.text("trace-steps", "STEPS", "Steps to trace instead of the last, such as 10..12,20",
            trace_steps_setter(job), [&job] { return job.trainer.trace_steps.text(); });
  list.count("eval-interval", job.trainer.eval_interval, {.min = 0},
             "Steps between evaluations on the validation split; 0: none");
  all_is_zero(list.count("eval-batches", job.trainer.eval_batches, {.min = 0},
                         "Global batches per evaluation, none twice; all, or 0: the whole split"));
  list.flag("test", job.test,
            "Test after the last step, on all samples of the test part of split, or of test-data");
  list.path("save", job.save_dir, "Folder of checkpoints; one is written after the last step");
  list.count("save-interval", job.save_interval, {.min = 0},
             "Steps between checkpoints; 0: only the last");
  list.flag("async-save", job.async_save,
            "Train on while a checkpoint is written, from a copy in the memory of the host");
  list.count("keep-last", job.keep.last, {.min = 0}, "Newest checkpoints that stay; 0: all");
  list.count("keep-every", job.keep.every, {.min = 0},
             "Checkpoints of steps that this divides stay too; 0: none");
  list.path("resume", job.resume,
            "Checkpoint to go on from, under any plan; of a folder, the latest; auto: that of "
            "--save, or a new run where there is none yet");
  list.flag("load-weights-only", job.load_weights_only,
            "Begin a new run with the weights of --resume");
  list.path("export", job.export_dir, "Hugging Face folder of the final weights");
  list.path(
      "tokenizer", job.tokenizer,
      "tokenizer.json or folder that makes tokens of text and goes into --export; default: the "
      "data's, or --init-from's");
  list.path("data-cache", job.data_cache, kDataCacheHelp);
}

void add_limit_options(OptionList& list, comm::Limits& limits) {
  constexpr int kLongest = 7 * 86400;
  list.count("join-timeout", limits.join, {1, kLongest},
             "Seconds that ranks wait for the last one to start");
  list.count(
      "step-timeout", limits.step, {1, kLongest},
      "Seconds without a sign of life of a rank after which the job ends: of its process, or "
      "of its work unless that waits for others");
  list.count("io-timeout", limits.io, {1, kLongest},
             "The same for the work of a rank that reads or writes files");
}

}  // namespace

std::string dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

OptionList train_options(TrainJob& job) {
  OptionList list;
  add_model_options(list, job);
  add_model_numbers(list, job);
  add_image_options(list, job.images, job.mix);
  add_plan_options(list, job);
  add_optimizer_options(list, job.trainer);
  list.number("label-smoothing", job.label_smoothing, {.min = 0, .max = 1, .below_max = true},
              "Share of every target that all classes, or tokens of the vocabulary, divide evenly "
              "in training; the loss of evaluations has none");
  list.group(kRankOptions);
  list.choice("device", job.device, {"auto", "cpu", "cuda"}, "auto: cuda where there is one");
  list.choice("pin", job.pin,
              "Cores that each rank computes on: its NUMA nodes, or its cores; auto: NUMA nodes "
              "where there are several");
  list.on_off("copy-ahead", job.trainer.copy_ahead,
              "Copy batches to a GPU while it computes, from pinned memory; false: when they are "
              "needed");
  list.flag(
      "deterministic", job.deterministic,
      "Refuse CUDA kernels whose result depends on timing; CPU runs repeat to the bit anyway");
  add_limit_options(list, job.limits);
  add_output_options(list, job);
  return list;
}

OptionList evaluation_options(TrainJob& job, EvaluationRequest& request) {
  Names left_out = {"init-from", "seed",   "shuffle",    "crop-padding", "flip",
                    "mixup",     "cutmix", "valid-data", "test-data",    "copy-ahead"};
  const OptionList training = train_options(job);
  for (const Option& option : training.all()) {
    if (option.group == kOptimizerOptions || option.group == kOutputOptions ||
        option.group == spec::kCommunicationOptions)
      left_out.push_back(option.name);
  }
  OptionList list = training.without(left_out);
  list.group(kModelOptions);
  list.path("init-from", job.init_from,
            "Hugging Face checkpoint folder whose weights are evaluated");
  list.path("resume", job.resume,
            "Checkpoint whose weights are evaluated, written under any plan; of a folder, the "
            "latest");
  list.path("tokenizer", job.tokenizer,
            "tokenizer.json or folder that makes tokens of text; default: the data's, or "
            "--init-from's");
  list.path("data-cache", job.data_cache, kDataCacheHelp);
  list.seed("seed", job.seed, "Seed of what is drawn: tokens that are hidden, synthetic data");
  list.group(kEvaluationOptions);
  list.choice("part", job.evaluated, "The part of the data to evaluate on, as split says");
  all_is_zero(list.count("batches", request.num_batches, {.min = 0},
                         "Global batches to evaluate; all, or 0: all samples once"));
  return list;
}

void be_evaluated(TrainJob& job, const EvaluationRequest& request) {
  if (job.data == kSyntheticData && request.num_batches == 0) {
    throw ConfigError("[evaluate] synthetic data have no end; say how many --batches to evaluate");
  }
  job.trainer.eval_interval = 1;
  job.shuffle = false;
  job.load_weights_only = !job.resume.empty();
  if (job.resume.empty() || !job.model_source().empty()) return;
  const ResumePoint stored = find_resume_point(job);
  const CheckpointIndex& index = stored.index;
  if (index.model_config.is_null()) {
    throw ConfigError("[checkpoint] ", stored.checkpoint().string(), " is of version ",
                      index.version, ", which does not say the numbers of its model '", index.model,
                      "'; name them with --model");
  }
  job.stored_model = spec::model_from_config(Json(index.model_config), index.model);
}

void refuse_beside_plan(const TrainJob& job, const std::string& given, const std::string& plan) {
  if (job.plan.empty() || given.empty()) return;
  throw ConfigError(given, " and ", plan,
                    " exclude each other: the plan has a strategy for every layer");
}

}  // namespace galvatron::train
