#include "galvatron/train/weights.h"

#include <fstream>
#include <limits>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/plan/check_plan.h"

#include "config_error.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, at::Tensor>;

plan::Plan make_plan(const spec::ModelSpec& model, int world_size, int pp_degree,
                     plan::LayerStrategy strategy) {
  const spec::JobSpec job{8, 4, spec::Precision::kFp32};
  plan::Plan plan = plan::uniform_plan(model, job, world_size, strategy, pp_degree);
  plan::require_valid_plan(plan, model, {world_size, job.seq_length});
  return plan;
}

// Runs `body` on every rank of an engine with this seed.
void on_engine(const spec::ModelSpec& model, const plan::Plan& plan, std::uint64_t seed,
               const std::function<void(runtime::Engine&)>& body) {
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    runtime::Engine engine(model, plan, world, models::make_layer, {seed, 8, true});
    body(engine);
  });
}

Tensors whole_parameters(const spec::ModelSpec& model, const plan::Plan& plan, std::uint64_t seed,
                         const fs::path& load_from = {}) {
  Tensors out;
  on_engine(model, plan, seed, [&](runtime::Engine& engine) {
    if (!load_from.empty()) load_weights(engine, load_from);
    for_each_whole_parameter(
        engine, [](runtime::ParamUnit& unit) { return unit.master(); },
        [&](int layer, const spec::ParamSpec& param, const at::Tensor& whole) {
          const spec::LayerSpec& spec = model.layer(layer);
          EXPECT_TRUE(out.emplace(spec.full_name(param), whole).second) << "told once";
        });
  });
  return out;
}

void expect_equal(const Tensors& actual, const Tensors& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected)
    EXPECT_TRUE(at::equal(actual.at(name), tensor)) << name;
}

class WeightsTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("weights-{}", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

// Exported under one plan, loaded under another with other initial weights: the same bits.
TEST_P(WeightsTest, TravelBetweenPlans) {
  const spec::ModelSpec model = spec::load_model(GetParam());
  const std::vector<plan::Plan> plans = {
      make_plan(model, 1, 1, {}),
      make_plan(model, 4, 2, {.tp_degree = 2, .zero_stage = 1}),
      make_plan(model, 4, 1, {.tp_degree = 2, .zero_stage = 3}),
      make_plan(model, 3, 1, {.zero_stage = 2}),
      make_plan(model, 8, 1, {.tp_degree = 2, .zero_stage = 3, .shard_degree = 2}),
      make_plan(model, 2, 2, {}),
  };
  const Tensors expected = whole_parameters(model, plans[0], 1);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const plan::Plan& other = plans[(i + 1) % plans.size()];
    on_engine(model, plans[i], 1, [&](runtime::Engine& engine) {
      export_weights(engine, folder_ / "out", {.tokenizer = {}, .max_shard = Bytes{100'000}});
    });
    check_weights(model, folder_ / "out");
    SCOPED_TRACE(plan::summarize(plans[i]) + " to " + plan::summarize(other));
    expect_equal(whole_parameters(model, other, 2, folder_ / "out"), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, WeightsTest,
                         testing::Values("gpt2-tiny", "llama-tiny", "qwen2.5-tiny"));

TEST_F(WeightsTest, NoRankHangsWhenRankZeroCannotExport) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  std::ofstream(folder_ / "file") << "mine";
  std::mutex mutex;
  std::vector<std::string> messages;
  on_engine(model, make_plan(model, 3, 1, {.zero_stage = 3}), 1, [&](runtime::Engine& engine) {
    const std::string message = config_error_of([&] { export_weights(engine, folder_ / "file"); });
    const std::lock_guard lock(mutex);
    messages.push_back(message);
  });
  ASSERT_EQ(messages.size(), 3u);
  for (const std::string& message : messages)
    EXPECT_NE(message.find("cannot export to"), std::string::npos) << message;
}

TEST_F(WeightsTest, RefusesWhatIsNoNumber) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const plan::Plan plan = make_plan(model, 2, 1, {.zero_stage = 3});
  on_engine(model, make_plan(model, 1, 1, {}), 1, [&](runtime::Engine& engine) {
    const at::NoGradGuard no_grad;
    engine.units().front()->master().fill_(std::numeric_limits<float>::infinity());
    export_weights(engine, folder_ / "out");
  });
  const auto load = [&] { whole_parameters(model, plan, 1, folder_ / "out"); };
  EXPECT_NE(config_error_of(load).find("holds values that are not finite"), std::string::npos)
      << config_error_of(load);
}

TEST_F(WeightsTest, SaysHowTheyWereSaved) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const auto said = [&](const std::vector<models::TensorInfo>& tensors) {
    models::SafetensorsWriter writer(folder_ / "model.safetensors", tensors);
    for (const models::TensorInfo& info : tensors) writer.write(info.name, at::ones(info.shape));
    writer.finish();
    return config_error_of([&] { check_weights(model, folder_ / "model.safetensors"); });
  };
  const std::string wte = "transformer.wte.weight";
  EXPECT_NE(said({{wte, at::kFloat, {0}}}).find("zero_to_fp32.py"), std::string::npos);
  EXPECT_NE(said({{"transformer.h.0.attn.c_attn.lora_A.default.weight", at::kFloat, {4}}})
                .find("merge_and_unload()"),
            std::string::npos);
  EXPECT_NE(said({{"transformer.h.0.attn.c_attn.qweight", at::kFloat, {4}}}).find("quantised"),
            std::string::npos);
  EXPECT_NE(said({{"_flat_param", at::kFloat, {4}}}).find("full state dict"), std::string::npos);
  EXPECT_EQ(said({{wte, at::kFloat, {3}}}).find("saved"), std::string::npos);
}

TEST_F(WeightsTest, CheckExportTellsBeforehand) {
  EXPECT_EQ(config_error_of([&] { check_export(folder_); }), "");
  EXPECT_EQ(config_error_of([&] { check_export(folder_ / "new/deep"); }), "");
  EXPECT_NE(config_error_of([&] {
              check_export(folder_, {.tokenizer = folder_ / "none"});
            }).find("no tokenizer"),
            std::string::npos);
  std::ofstream(folder_ / "config.json") << "{}";
  EXPECT_EQ(config_error_of([&] { check_export(folder_); }), "");
  fs::create_directory(folder_ / "tokenizer.json");
  EXPECT_NE(config_error_of([&] { check_export(folder_); }).find("holds tokenizer.json"),
            std::string::npos);
  EXPECT_NE(config_error_of([&] { check_export(folder_ / "config.json"); }).find("it is no folder"),
            std::string::npos);
}

TEST_F(WeightsTest, ExportTakesTheTokenizerAlong) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  std::ofstream(folder_ / "bpe.json") << "{}";
  on_engine(model, make_plan(model, 1, 1, {}), 1, [&](runtime::Engine& engine) {
    export_weights(engine, folder_ / "out/",
                   {.dtype = at::kBFloat16, .tokenizer = folder_ / "bpe.json"});
  });
  EXPECT_TRUE(fs::exists(folder_ / "out/tokenizer.json"));
  EXPECT_EQ(read_json_file(folder_ / "out/config.json")["dtype"], "bfloat16");
  const models::SafetensorsReader reader(folder_ / "out");
  EXPECT_EQ(reader.find("transformer.wte.weight")->dtype, at::kBFloat16);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2)
      << "no temporary is left";
}

}  // namespace
}  // namespace galvatron::train
