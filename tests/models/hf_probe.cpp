// Runs a Hugging Face folder through our models, for test_hf_parity.py to compare with
// transformers.
//   hf_probe --model DIR --data FILE --output FILE [--plan FILE] [--precision fp32] [--steps N]
//   [--lr X]
//            [--weight-decay X] [--export DIR] [--export-dtype F32] [--max-shard BYTES]
// --data: safetensors with int64 `input_ids` [batches, B, S], or for images with `pixel_values`
// [batches, B, C, H, W] and int64 `labels` [batches, B]. --output: safetensors with
//   logits [B, S, V]   of the first batch (one rank only); [B, classes] of images
//   loss [1]           of the first batch
//   grad.NAME          its gradients, with Hugging Face's names and layouts
//   losses [N]         of N AdamW steps, one batch each, gradients clipped to norm 1
// --export writes the weights as they are at the end. --plan: ranks are threads of this process.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
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
#include "galvatron/train/optimizer.h"
#include "galvatron/train/weights.h"

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
  for (const char* name : {"--model", "--data", "--output"}) {
    if (options.get(name).empty()) throw ConfigError("[probe] ", name, " is missing");
  }
  return options;
}

// A batch as transformers takes it with labels = input_ids: position s predicts token s + 1, and
// the last predicts none.
class TokenBatch : public runtime::InputSource {
 public:
  explicit TokenBatch(at::Tensor tokens_BS) : tokens_(std::move(tokens_BS)) {
    labels_ = at::full_like(tokens_, nn::kIgnoreLabel);
    const std::int64_t last = tokens_.size(1) - 1;
    labels_.narrow(1, 0, last).copy_(tokens_.narrow(1, 1, last));
  }
  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    const at::Tensor& all = kind == spec::InputKind::kTokens ? tokens_ : labels_;
    return all.narrow(0, samples.begin, samples.size())
        .narrow(1, tokens.begin, tokens.size())
        .clone();
  }
  double num_labels() override {
    return static_cast<double>(tokens_.size(0) * (tokens_.size(1) - 1));
  }

 private:
  at::Tensor tokens_, labels_;
};

// Images with a class each.
class ImageBatch : public runtime::InputSource {
 public:
  ImageBatch(at::Tensor images_BCHW, at::Tensor classes_B)
      : images_(std::move(images_BCHW)), classes_(std::move(classes_B)) {}
  at::Tensor fetch(spec::InputKind kind, Range samples, Range) override {
    const at::Tensor& all = kind == spec::InputKind::kImages ? images_ : classes_;
    return all.narrow(0, samples.begin, samples.size()).clone();
  }
  double num_labels() override { return static_cast<double>(classes_.size(0)); }

 private:
  at::Tensor images_, classes_;
};

// Batches that transformers got too: input by name, [batches, B, ...].
class Batches {
 public:
  Batches(const std::filesystem::path& path, spec::Task task) : reader_(path), task_(task) {}

  std::int64_t count() const { return first().size(0); }
  std::int64_t samples() const { return first().size(1); }
  std::int64_t seq_length() const { return first().size(2); }  // of text

  std::unique_ptr<runtime::InputSource> at(std::int64_t batch) const {
    if (task_ == spec::Task::kImageClasses)
      return std::make_unique<ImageBatch>(view("pixel_values")[batch], view("labels")[batch]);
    return std::make_unique<TokenBatch>(view("input_ids")[batch]);
  }

 private:
  at::Tensor view(const std::string& name) const {
    if (reader_.find(name) == nullptr) throw ConfigError("[probe] no ", name, " in the data");
    return reader_.view(name);
  }
  at::Tensor first() const {
    return view(task_ == spec::Task::kImageClasses ? "pixel_values" : "input_ids");
  }

  models::SafetensorsReader reader_;
  spec::Task task_;
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
      : options_(std::move(options)),
        model_(spec::load_model(options_.get("--model"))),
        data_(options_.get("--data"), model_.task) {
    const spec::JobSpec job{model_.choose_seq_length(data_.seq_length(), 0), data_.samples(),
                            spec::parse_precision(options_.get("--precision", "fp32"))};
    seq_length_ = job.seq_length;
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
    const auto input = data_.at(0);
    runtime::InputSource& batch = *input;
    const bool alone = plan_.world_size == 1 && plan_.num_microbatches == 1;
    if (alone) add_result(engine, "logits", engine.logits(batch));
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
    train::AdamW optimizer(engine.units(), {.weight_decay = decay});
    at::Tensor losses = at::zeros({count}, at::kDouble);
    for (int step = 0; step < count; ++step) {
      losses[step] = engine.forward_backward(*data_.at(step % data_.count()), step);
      optimizer.step(lr, train::clip_factor(engine.gradient_norm(), 1.0));
      engine.publish();
    }
    add_result(engine, "losses", losses);
  }

  Options options_;
  spec::ModelSpec model_;
  Batches data_;
  std::int64_t seq_length_ = 0;
  plan::Plan plan_;
  NamedTensors results_;
};

}  // namespace
}  // namespace galvatron::testing

int main(int argc, char** argv) {
  setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  try {
    at::set_num_threads(1);
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
