// A step never makes the host wait for the device but once, for its totals. On a CPU, where nothing
// waits, torch's operators tell: none reads a value, none makes a table that the step before had.
#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include <ATen/record_function.h>

#include "galvatron/comm/cuda.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::testing {
namespace {

// Every operator that is called while it lives, on any thread.
class OperatorCounts {
 public:
  OperatorCounts() {
    counts().clear();
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& call)
                                       -> std::unique_ptr<at::ObserverContext> {
          const std::lock_guard lock(mutex());
          ++counts()[call.name()];
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
  }
  ~OperatorCounts() { at::removeCallback(handle_); }
  OperatorCounts(const OperatorCounts&) = delete;
  OperatorCounts& operator=(const OperatorCounts&) = delete;

  std::map<std::string, int> take() {
    const std::lock_guard lock(mutex());
    return std::move(counts());
  }

 private:
  // A callback is a plain function.
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::map<std::string, int>& counts() {
    static std::map<std::string, int> all;
    return all;
  }
  at::CallbackHandle handle_ = at::INVALID_CALLBACK_HANDLE;
};

constexpr std::int64_t kTokens = 16, kBatch = 4;

class FixedInputs : public runtime::InputSource {
 public:
  explicit FixedInputs(const spec::ImageSpec& image) : image_(image) {}
  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    if (kind == spec::InputKind::kImages)
      return at::ones({samples.size(), image_.channels, image_.height, image_.width});
    if (kind == spec::InputKind::kClasses) return at::zeros({samples.size()}, at::kLong);
    return at::ones({samples.size(), tokens.size()}, at::kLong);
  }
  double num_labels() override { return static_cast<double>(kBatch * kTokens); }

 private:
  const spec::ImageSpec& image_;
};

plan::Plan plan_of(const spec::ModelSpec& model, std::int64_t seq_length,
                   spec::Precision precision) {
  plan::LayerStrategy strategy;
  return plan::uniform_plan(model, {seq_length, kBatch, precision}, 1, strategy, 1,
                            /*num_microbatches=*/2, plan::ScheduleKind::k1F1B);
}

// Of the third step, whose tables all exist.
std::map<std::string, int> operators_of_a_step(const std::string& preset) {
  const spec::ModelSpec model = spec::load_model(preset);
  const std::int64_t seq_length = model.choose_seq_length(kTokens, kTokens);
  const plan::Plan plan = plan_of(model, seq_length, spec::Precision::kFp32);
  comm::World world = comm::single_world();
  runtime::Engine engine(model, plan, world, models::make_layer, {1, seq_length, true});
  const auto optimizer = train::make_optimizer(engine.units());
  FixedInputs inputs(model.image);
  std::map<std::string, int> out;
  for (int step = 0; step < 3; ++step) {
    OperatorCounts counts;
    engine.run_step(inputs, step);
    const runtime::StepTotals totals = engine.totals();
    engine.publish();
    out = counts.take();
    // torch's fused AdamW reads the number of the step, which lies on the CPU.
    optimizer->step(1e-3, train::clip_factor(totals.gradient_norm, 1));
    engine.publish();
  }
  return out;
}

class HostWait : public ::testing::TestWithParam<const char*> {};

TEST_P(HostWait, NoOperatorOfAStepReadsAValueOrMakesATable) {
  const std::map<std::string, int> counts = operators_of_a_step(GetParam());
  EXPECT_GT(counts.size(), 20U) << "nothing was seen";
  for (const char* name :
       {"aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero",
        "aten::masked_select", "aten::equal",
        // of tables: rotary angles, buckets of distances, windows
        "aten::cos", "aten::sin", "aten::clamp_max", "aten::floor_divide", "aten::remainder"}) {
    EXPECT_FALSE(counts.contains(name)) << name << " x " << counts.at(name);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, HostWait,
                         ::testing::Values("gpt2-tiny", "llama-tiny", "bert-tiny", "t5-tiny",
                                           "gemma2-tiny", "swin-tiny"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(HostWait, CountsWhatAStepCalls) {
  OperatorCounts counts;
  at::ones({2}).sum().item<double>();
  const auto seen = counts.take();
  EXPECT_TRUE(seen.contains("aten::item") && seen.contains("aten::_local_scalar_dense"));
}

// torch's own guard: whatever waits for the device throws.
TEST(HostWait, NeverOnADevice) {
  if (!comm::cuda_is_available()) GTEST_SKIP() << "no CUDA device";
  const spec::ModelSpec model = spec::load_model("llama-tiny");
  const plan::Plan plan = plan_of(model, kTokens, spec::Precision::kBf16);
  comm::World world = comm::single_world(c10::kCUDA);
  runtime::Engine engine(model, plan, world, models::make_layer, {1, kTokens, true});
  const auto optimizer = train::make_optimizer(engine.units());
  FixedInputs inputs(model.image);
  for (int step = 0; step < 3; ++step) {
    comm::cuda_plugin().forbid_waiting(step > 0);
    engine.run_step(inputs, step);
    comm::cuda_plugin().forbid_waiting(false);
    const runtime::StepTotals totals = engine.totals();
    EXPECT_TRUE(std::isfinite(totals.loss));
    comm::cuda_plugin().forbid_waiting(step > 0);
    optimizer->step(1e-3, train::clip_factor(totals.gradient_norm, 1));
    engine.publish();
    comm::cuda_plugin().forbid_waiting(false);
  }
}

}  // namespace
}  // namespace galvatron::testing
