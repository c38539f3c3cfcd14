// Runs a Hugging Face folder through our models, for test_hf_parity.py to compare with
// transformers.
//   hf_probe --model DIR --tokens FILE --output FILE [--plan FILE] [--precision fp32] [--steps N]
//   [--lr X]
//            [--weight-decay X] [--export DIR] [--export-dtype F32] [--max-shard BYTES]
// --tokens: safetensors with int64 `input_ids` [batches, B, S], and for the families that take them
//   `decoder_input_ids` and `labels` [batches, B, T]. Without labels they are the next tokens; with
//   them they lie where they are predicted. `documents`, `target_documents` and `positions`
//   likewise. For images `pixel_values` [batches, B, C, H, W] and `labels` [batches, B].
// --output: safetensors with
//   logits [B, S, V]   of the first batch (one rank only); [B, classes] of images
//   loss [1]           of the first batch
//   grad.NAME          its gradients, with Hugging Face's names and layouts
//   losses [N]         of N AdamW steps, one batch each, gradients clipped to norm 1
// --export writes the weights as they are at the end. --plan: ranks are threads of this process.
#include <cstdlib>
#include <map>
#include <string>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/hf_weights.h"
#include "galvatron/models/registry.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/train/optimizers/optimizer.h"
#include "galvatron/train/weights.h"

#include "test_threads.h"

namespace galvatron::testing {
namespace {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct Options {
  std::map<std::string, std::string> values;

  std::string get(const std::string& name, const std::string& fallback = "") const {
    const auto it = values.find(name);
    return it == values.end() ? fallback : it->second;
  }
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) options.values[argv[i]] = argv[i + 1];
  for (const char* name : {"--model", "--tokens", "--output"}) {
    if (options.get(name).empty()) throw ConfigError("[probe] ", name, " is missing");
  }
  return options;
}

// What a model takes, whole, by kind: [batches, B, ...].
using Inputs = std::map<spec::InputKind, at::Tensor>;

// As transformers takes labels = input_ids: position s predicts token s + 1, and the last none.
at::Tensor next_tokens(const at::Tensor& tokens_NBS) {
  at::Tensor labels = at::full_like(tokens_NBS, nn::kIgnoreLabel);
  const std::int64_t last = tokens_NBS.size(2) - 1;
  labels.narrow(2, 0, last).copy_(tokens_NBS.narrow(2, 1, last));
  return labels;
}

Inputs read_inputs(const std::string& path, spec::Task task) {
  const models::SafetensorsReader reader(path);
  if (task == spec::Task::kImageClasses) {
    return {{spec::InputKind::kImages, reader.view("pixel_values").clone()},
            {spec::InputKind::kClasses, reader.view("labels").clone()}};
  }
  Inputs inputs;
  for (const auto& [kind, name] : {std::pair{spec::InputKind::kTokens, "input_ids"},
                                   std::pair{spec::InputKind::kTargetTokens, "decoder_input_ids"},
                                   std::pair{spec::InputKind::kLabels, "labels"},
                                   std::pair{spec::InputKind::kDocuments, "documents"},
                                   std::pair{spec::InputKind::kTargetDocuments, "target_documents"},
                                   std::pair{spec::InputKind::kPositions, "positions"},
                                   std::pair{spec::InputKind::kTokenTypes, "token_types"}}) {
    if (reader.find(name) != nullptr) inputs[kind] = reader.view(name).clone();
  }
  if (!inputs.contains(spec::InputKind::kLabels)) {
    inputs[spec::InputKind::kLabels] = next_tokens(inputs.at(spec::InputKind::kTokens));
  }
  return inputs;
}

class Batch : public runtime::InputSource {
 public:
  Batch(const Inputs& inputs, std::int64_t index) {
    for (const auto& [kind, all] : inputs) batch_[kind] = all[index % all.size(0)];
  }
  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    const at::Tensor rows = batch_.at(kind).narrow(0, samples.begin, samples.size());
    const bool whole = kind == spec::InputKind::kImages || kind == spec::InputKind::kClasses;
    return whole ? rows.clone() : rows.narrow(1, tokens.begin, tokens.size()).clone();
  }
  bool says(spec::InputKind kind) const override { return batch_.contains(kind); }
  double num_labels() override {
    const bool images = batch_.contains(spec::InputKind::kClasses);
    const at::Tensor& labels =
        batch_.at(images ? spec::InputKind::kClasses : spec::InputKind::kLabels);
    return labels.ne(nn::kIgnoreLabel).sum().item<double>();
  }

 private:
  Inputs batch_;
};

at::ScalarType parse_dtype(const std::string& name) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
    if (models::dtype_name(dtype) == name) return dtype;
  }
  throw ConfigError("[probe] unknown type ", name);
}

class Probe {
 public:
  Probe(Options options)
      : options_(std::move(options)), model_(spec::load_model(options_.get("--model"))) {
    inputs_ = read_inputs(options_.get("--tokens"), model_.task);
    const bool images = model_.task == spec::Task::kImageClasses;
    const at::Tensor& first =
        inputs_.at(images ? spec::InputKind::kImages : spec::InputKind::kTokens);
    seq_length_ = model_.choose_seq_length(first.size(2), 0);
    const spec::JobSpec job{seq_length_, first.size(1),
                            spec::parse_precision(options_.get("--precision", "fp32"))};
    plan_ = options_.values.contains("--plan") ? plan::read_plan(options_.get("--plan"))
                                               : plan::uniform_plan(model_, job, 1, {});
    plan::require_valid_plan(plan_, model_, {plan_.world_size, job.seq_length});
  }

  void run() {
    comm::run_rank_threads(plan_.world_size, [&](comm::World& world) { run_rank(world); });
    models::write_safetensors(options_.get("--output"), results_);
  }

 private:
  void run_rank(comm::World& world) {
    use_test_threads();
    runtime::Engine engine(model_, plan_, world, models::make_layer, {0, seq_length_, false});
    train::load_weights(engine, options_.get("--model"));
    first_batch(engine);
    steps(engine);
    if (!options_.values.contains("--export")) return;
    train::ExportOptions to;
    to.dtype = parse_dtype(options_.get("--export-dtype", "F32"));
    to.max_shard = Bytes{std::stoll(options_.get("--max-shard", "5000000000"))};
    train::export_weights(engine, options_.get("--export"), to);
  }

  void add_result(runtime::Engine& engine, const std::string& name, const at::Tensor& value) {
    if (engine.world().rank() == 0) results_.emplace_back(name, value);
  }

  void first_batch(runtime::Engine& engine) {
    Batch batch(inputs_, 0);
    std::vector<Range> wanted(static_cast<std::size_t>(plan_.world_size));
    wanted[0] = {0, plan_.global_batch};
    add_result(engine, "logits", engine.logits(batch, wanted));
    const double loss = engine.forward_backward(batch, 0);
    add_result(engine, "loss", at::full({1}, loss, at::kDouble));
    train::for_each_whole_parameter(
        engine, [](runtime::ParamUnit& unit) { return unit.gradient(); },
        [&](int layer, const spec::ParamSpec& param, const at::Tensor& whole) {
          for (const models::HfTensor& tensor : models::hf_tensors(model_, layer, param)) {
            add_result(engine, "grad." + tensor.names[0],
                       models::to_hf(tensor, param, whole).contiguous());
          }
        });
  }

  void steps(runtime::Engine& engine) {
    const int count = std::stoi(options_.get("--steps", "0"));
    const double lr = std::stod(options_.get("--lr", "1e-3"));
    const double decay = std::stod(options_.get("--weight-decay", "0.1"));
    const auto optimizer =
        train::make_optimizer(engine.units(), {"adamw", {{"weight_decay", decay}}});
    at::Tensor losses = at::zeros({count}, at::kDouble);
    for (int step = 0; step < count; ++step) {
      Batch batch(inputs_, step);
      losses[step] = engine.forward_backward(batch, step);
      optimizer->step(lr, train::clip_factor(engine.gradient_norm(), 1.0));
      engine.publish();
    }
    add_result(engine, "losses", losses);
  }

  Options options_;
  spec::ModelSpec model_;
  Inputs inputs_;
  std::int64_t seq_length_ = 0;
  plan::Plan plan_;
  NamedTensors results_;
};

}  // namespace
}  // namespace galvatron::testing

int main(int argc, char** argv) {
  setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  try {
    galvatron::testing::Probe(galvatron::testing::parse(argc, argv)).run();
    return 0;
  } catch (const galvatron::ConfigError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
