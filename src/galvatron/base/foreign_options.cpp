#include "galvatron/base/foreign_options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

// `ours`: an option; where it begins with a blank, what to do instead, "{x-y}" standing for
// options.
struct ForeignOption {
  std::string_view theirs, ours;
};

constexpr std::string_view kMicrobatch =
    " microbatches are counted here, not sized: {num-microbatches} is the samples of "
    "{global-batch} over data-parallel ranks x samples of a microbatch";
constexpr std::string_view kEpochs =
    " the length of a run is counted in optimizer steps: {steps} is epochs x samples / "
    "{global-batch}";
constexpr std::string_view kPrecision = " that is {precision} with bf16, fp16, fp32 or fp64";
constexpr std::string_view kDataParallel =
    " data parallelism is what is left of the ranks: all of them over {pp-degree} x {tp-degree} x "
    "{ulysses-degree}";
constexpr std::string_view kSequenceParallel =
    " activations outside tensor parallelism are always split along the sequence ({tp-degree})";

constexpr std::string_view kWarmupRatio =
    " the warm-up is counted in steps: {warmup-steps} is the ratio x {steps}";
constexpr std::string_view kDecayLength =
    " the learning rate falls until the last of {steps}, of wsd in the last {decay-steps}";
constexpr std::string_view kRampup = " that is {batch-rampup} with commas: START,INCREMENT,SAMPLES";
constexpr std::string_view kFreeze =
    " parameters are frozen by their names: {param-group} 'PATTERN:frozen'";
constexpr std::string_view kEvalData =
    " evaluations take their samples from {valid-data}, or from {data} as {split} says";
constexpr std::string_view kDataList =
    " a list of weights and names is read from a file by {data} @FILE";
constexpr std::string_view kParallelism =
    " that is a {plan}, or {pp-degree}, {tp-degree}, {ulysses-degree} and {zero-stage}";
constexpr std::string_view kNodes =
    " ranks are those that are started: {nproc} on this machine; torchrun, srun or mpirun start "
    "those of several";
constexpr std::string_view kDeepSpeed =
    " ZeRO is {zero-stage} 1, 2 or 3; every setting is an option here, or a key of {config}";

constexpr std::array kForeign = {
    // Megatron-LM and its kin
    ForeignOption{"tensor-model-parallel-size", "tp-degree"},
    ForeignOption{"pipeline-model-parallel-size", "pp-degree"},
    ForeignOption{"num-layers-per-virtual-pipeline-stage", "stages-per-rank"},
    ForeignOption{"virtual-pipeline-model-parallel-size", "stages-per-rank"},
    ForeignOption{"global-batch-size", "global-batch"},
    ForeignOption{"micro-batch-size", kMicrobatch},
    ForeignOption{"microbatch-size", kMicrobatch},
    ForeignOption{"train-iters", "steps"},
    ForeignOption{"train-samples", kEpochs},
    ForeignOption{"lr-decay-style", "lr-schedule"},
    ForeignOption{"lr-warmup-iters", "warmup-steps"},
    ForeignOption{"lr-wsd-decay-iters", "decay-steps"},
    ForeignOption{"lr-wsd-decay-style", "decay-shape"},
    ForeignOption{"lr-decay-iters", kDecayLength},
    ForeignOption{"lr-decay-samples", kDecayLength},
    ForeignOption{"start-weight-decay", "weight-decay"},
    ForeignOption{"weight-decay-incr-style", "weight-decay-schedule"},
    ForeignOption{"rampup-batch-size", kRampup},
    ForeignOption{"sgd-momentum", "momentum"},
    ForeignOption{"clip-grad", "max-grad-norm"},
    ForeignOption{"adam-beta1", "beta1"},
    ForeignOption{"adam-beta2", "beta2"},
    ForeignOption{"recompute-granularity", "recompute"},
    ForeignOption{"recompute-activations", "recompute"},
    ForeignOption{"sequence-parallel", kSequenceParallel},
    ForeignOption{"use-distributed-optimizer", " that is {zero-stage} 1"},
    ForeignOption{"data-path", "data"},
    ForeignOption{"train-data-path", "data"},
    ForeignOption{"valid-data-path", "valid-data"},
    ForeignOption{"test-data-path", "test-data"},
    ForeignOption{"data-args-path", kDataList},
    ForeignOption{"data-cache-path", "data-cache"},
    ForeignOption{"tokenizer-model", "tokenizer"},
    ForeignOption{"tokenizer-name-or-path", "tokenizer"},
    ForeignOption{"load", "resume"},
    ForeignOption{"eval-iters", "eval-batches"},
    ForeignOption{"num-attention-heads", "num-heads"},
    ForeignOption{"num-query-groups", "num-kv-heads"},
    ForeignOption{"kv-channels", "head-size"},
    ForeignOption{"ffn-hidden-size", "intermediate-size"},
    ForeignOption{"max-position-embeddings", "max-positions"},
    // Hugging Face's configs, its Trainer and others
    ForeignOption{"num-hidden-layers", "num-layers"},
    ForeignOption{"num-key-value-heads", "num-kv-heads"},
    ForeignOption{"head-dim", "head-size"},
    ForeignOption{"learning-rate", "lr"},
    ForeignOption{"train-dataset", "data"},
    ForeignOption{"train-dataloader", "data"},
    ForeignOption{"dataset", "data"},
    ForeignOption{"eval-dataset", kEvalData},
    ForeignOption{"valid-dataset", kEvalData},
    ForeignOption{"val-dataloaders", kEvalData},
    ForeignOption{"per-device-eval-batch-size",
                  " evaluations have the batches of training: {global-batch}"},
    ForeignOption{"label-smoothing-factor", "label-smoothing"},
    ForeignOption{"smoothing", "label-smoothing"},
    ForeignOption{"report-to", " {tensorboard} and {wandb} name where the run is told"},
    ForeignOption{"wandb-project", "wandb"},
    ForeignOption{"tensorboard-dir", "tensorboard"},
    ForeignOption{"logging-dir", "tensorboard"},
    ForeignOption{"optim", "optimizer"},
    ForeignOption{"save-total-limit", "keep-last"},
    ForeignOption{"save-strategy", "save-interval"},
    ForeignOption{"eval-strategy", "eval-interval"},
    ForeignOption{"logging-dir", "run-dir"},
    ForeignOption{"logging-steps", " every step is told: {metrics} has a line for each"},
    ForeignOption{"use-cpu", " that is {device} cpu"},
    ForeignOption{"full-determinism", "deterministic"},
    ForeignOption{"parallelism-config", kParallelism},
    ForeignOption{"fsdp-config", " that is {zero-stage} 3 (2 for SHARD_GRAD_OP)"},
    ForeignOption{"lr-scheduler-type", "lr-schedule"},
    ForeignOption{"lr-scheduler", "lr-schedule"},
    ForeignOption{"decay-type", "decay-shape"},
    ForeignOption{"num-decay-steps", "decay-steps"},
    ForeignOption{"layer-wise-lr-decay", "param-group"},
    ForeignOption{"param-groups", "param-group"},
    ForeignOption{"freeze", kFreeze},
    ForeignOption{"freeze-params", kFreeze},
    ForeignOption{"num-warmup-steps", "warmup-steps"},
    ForeignOption{"warmup-ratio", kWarmupRatio},
    ForeignOption{"max-steps", "steps"},
    ForeignOption{"num-steps", "steps"},
    ForeignOption{"iterations", "steps"},
    ForeignOption{"training-steps", "steps"},
    ForeignOption{"epochs", kEpochs},
    ForeignOption{"max-epochs", kEpochs},
    ForeignOption{"num-epochs", kEpochs},
    ForeignOption{"num-train-epochs", kEpochs},
    ForeignOption{"batch-size", "global-batch"},
    ForeignOption{"train-batch-size", "global-batch"},
    ForeignOption{"per-device-train-batch-size", kMicrobatch},
    ForeignOption{"train-micro-batch-size-per-gpu", kMicrobatch},
    ForeignOption{"local-batch-size", kMicrobatch},
    ForeignOption{"gradient-accumulation-steps", "num-microbatches"},
    ForeignOption{"accumulate-grad-batches", "num-microbatches"},
    ForeignOption{"gradient-checkpointing", "recompute"},
    ForeignOption{"activation-checkpoint", "recompute"},
    ForeignOption{"activation-checkpointing", "recompute"},
    ForeignOption{"max-norm", "max-grad-norm"},
    ForeignOption{"gradient-clipping", "max-grad-norm"},
    ForeignOption{"gradient-clip-val", "max-grad-norm"},
    ForeignOption{"adam-epsilon", "adam-eps"},
    ForeignOption{"bf16", kPrecision},
    ForeignOption{"fp16", kPrecision},
    ForeignOption{"dtype", "precision"},
    ForeignOption{"torch-dtype", " that is {precision}; of load() and from_pretrained(), dtype"},
    ForeignOption{"mixed-precision", "precision"},
    ForeignOption{"model-name-or-path", "init-from"},
    ForeignOption{"output-dir", "run-dir"},
    ForeignOption{"save-steps", "save-interval"},
    ForeignOption{"eval-steps", "eval-interval"},
    ForeignOption{"resume-from-checkpoint", "resume"},
    ForeignOption{"max-seq-length", "seq-length"},
    ForeignOption{"max-length", "seq-length"},
    ForeignOption{"seq-len", "seq-length"},
    ForeignOption{"sequence-length", "seq-length"},
    ForeignOption{"block-size", "seq-length"},
    ForeignOption{"random-seed", "seed"},
    // torchrun, DeepSpeed, torchtitan, Galvatron-2
    ForeignOption{"nproc-per-node", "nproc"},
    ForeignOption{"num-gpus", "nproc"},
    ForeignOption{"devices", "nproc"},
    ForeignOption{"nnodes", kNodes},
    ForeignOption{"num-nodes", kNodes},
    ForeignOption{"world-size", kNodes},
    ForeignOption{"fsdp", " that is {zero-stage} 3 (2 for SHARD_GRAD_OP)"},
    ForeignOption{"deepspeed", kDeepSpeed},
    ForeignOption{"deepspeed-config", kDeepSpeed},
    ForeignOption{"zero", "zero-stage"},
    ForeignOption{"zero-optimization", "zero-stage"},
    ForeignOption{"zero-level", "zero-stage"},
    ForeignOption{"stage3", " that is {zero-stage} 3"},
    ForeignOption{"tp", "tp-degree"},
    ForeignOption{"tp-size", "tp-degree"},
    ForeignOption{"tensor-parallel-degree", "tp-degree"},
    ForeignOption{"tensor-parallel-size", "tp-degree"},
    ForeignOption{"pp", "pp-degree"},
    ForeignOption{"pp-size", "pp-degree"},
    ForeignOption{"pipeline-parallel-degree", "pp-degree"},
    ForeignOption{"pipeline-parallel-size", "pp-degree"},
    ForeignOption{"sp-size", "ulysses-degree"},
    ForeignOption{"sequence-parallel-size", "ulysses-degree"},
    ForeignOption{"dp", kDataParallel},
    ForeignOption{"dp-size", kDataParallel},
    ForeignOption{"data-parallel-degree", kDataParallel},
    ForeignOption{"data-parallel-size", kDataParallel},
    ForeignOption{"data-parallel-shard-degree", " that is {zero-stage} 1, 2 or 3"},
    ForeignOption{"chunks", "num-microbatches"},
    ForeignOption{"pipeline-type", "schedule"},
    ForeignOption{"global-tp-deg", "tp-degree"},
    ForeignOption{"pp-deg", "pp-degree"},
    ForeignOption{"global-train-batch-size", "global-batch"},
    ForeignOption{"galvatron-config-path", "plan"},
};

std::string normalised(const std::string& name) {
  std::string out = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return c == '_' || c == '.' ? '-' : static_cast<char>(std::tolower(c));
  });
  return out;
}

const ForeignOption* find_foreign(const std::string& name) {
  const std::string wanted = normalised(name);
  const auto found = std::find_if(kForeign.begin(), kForeign.end(),
                                  [&](const ForeignOption& one) { return one.theirs == wanted; });
  return found == kForeign.end() ? nullptr : &*found;
}

std::string shown(std::string_view option, bool dashes) {
  if (dashes) return "--" + std::string(option);
  std::string out(option);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

// Whether `ours`, an option or a sentence with "{options}", speaks of one that is known.
bool names_one_of(const std::vector<std::string>& known, std::string_view ours) {
  return std::any_of(known.begin(), known.end(), [&](const std::string& option) {
    const std::string name = normalised(option);
    return ours == name || ours.find("{" + name + "}") != std::string_view::npos;
  });
}

// The sentence with its "{options}" as they are shown.
std::string filled(std::string_view sentence, bool dashes) {
  std::string out;
  while (!sentence.empty()) {
    const std::size_t open = std::min(sentence.find('{'), sentence.size());
    out += sentence.substr(0, open);
    if (open == sentence.size()) break;
    const std::size_t close = sentence.find('}', open);
    out += shown(sentence.substr(open + 1, close - open - 1), dashes);
    sentence.remove_prefix(close + 1);
  }
  return out;
}

}  // namespace

std::string foreign_option_hint(const std::string& name, bool dashes) {
  const ForeignOption* found = find_foreign(name);
  if (found == nullptr) return "";
  if (found->ours.starts_with(' ')) return ";" + filled(found->ours, dashes);
  return "; that is " + shown(found->ours, dashes) + " here";
}

std::string unknown_option_hint(const std::string& name, const std::vector<std::string>& known,
                                bool dashes) {
  const ForeignOption* found = find_foreign(name);
  if (found == nullptr) return did_you_mean(name, known);
  if (names_one_of(known, found->ours)) return foreign_option_hint(name, dashes);
  const std::string near = did_you_mean(name, known);
  if (!near.empty()) return near;
  if (found->ours.starts_with(' ')) return foreign_option_hint(name, dashes);
  return "; that is " + shown(found->ours, dashes) + ", which belongs elsewhere";
}

}  // namespace galvatron
