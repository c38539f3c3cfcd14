#include "galvatron/train/checkpoint.h"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include <ATen/Parallel.h>

#include "galvatron/base/json.h"
#include "galvatron/models/registry.h"
#include "galvatron/models/safetensors.h"

#include "config_error.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 6, kSavedAfter = 3;

class Checkpoint : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  // Losses by step of a run that saves after step kSavedAfter, or goes on from there.
  std::map<std::int64_t, double> train(const plan::Plan& plan, bool resume,
                                       const spec::OptimizerChoice& optimizer = {}) const {
    const spec::ModelSpec model = tiny_gpt();
    TrainerOptions options = make_options(kSteps);
    options.optimizer = optimizer;
    std::map<std::int64_t, double> losses;
    comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
      at::set_num_threads(1);
      const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
      runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, !resume});
      Trainer trainer(engine, samples, nullptr, options);
      if (resume) load_checkpoint(find_checkpoint(folder_), engine, trainer);
      trainer.run([&](const StepRecord& record) {
        if (world.rank() == 0) losses[record.step] = record.loss;
        if (!resume && record.step == kSavedAfter)
          save_checkpoint(folder_, engine, trainer, kSeqLength);
      });
    });
    return losses;
  }

  std::string refusal(std::int64_t seq_length, spec::Precision precision,
                      std::int64_t num_steps) const {
    return config_error_of([&] {
      check_checkpoint(find_checkpoint(folder_), tiny_gpt(), {seq_length, kGlobalBatch, precision},
                       num_steps);
    });
  }

  // Makes the saved checkpoint one of version 1, which had AdamW alone.
  void make_version1() const {
    const fs::path checkpoint = find_checkpoint(folder_);
    const fs::path info = checkpoint / "checkpoint.json", state = checkpoint / "state.safetensors";
    Json json = read_json_file(info);
    json["version"] = 1;
    json.erase("optimizer");
    write_json_file(info, json);
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    const models::SafetensorsReader reader(state);
    for (const std::string& name : reader.names()) {
      const std::size_t slash = name.find('/');
      const std::string part = name.substr(0, slash);
      const std::string old = part == "exp_avg" ? "first" : part == "exp_avg_sq" ? "second" : part;
      tensors.emplace_back(old + name.substr(slash), reader.view(name).clone());
    }
    models::write_safetensors(state, tensors);
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / ("galvatron_checkpoint_test_" + std::to_string(getpid()));
};

TEST_F(Checkpoint, GoesOnToTheBitUnderTheSamePlan) {
  const auto whole = train(mixed_plan(), false);
  const auto rest = train(mixed_plan(), true);
  ASSERT_EQ(rest.size(), static_cast<std::size_t>(kSteps - kSavedAfter));
  for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
}

TEST_F(Checkpoint, GoesOnUnderAnyOtherPlan) {
  constexpr auto kFp64 = spec::Precision::kFp64;
  const auto whole = train(make_plan(4, {.tp_degree = 2, .zero_stage = 3}, 1, 2, kFp64), false);
  for (const plan::Plan& plan :
       {make_plan(1, {}, 1, 1, kFp64), make_plan(3, {.zero_stage = 2}, 1, 1, kFp64),
        make_plan(4, {.ulysses_degree = 2}, 2, 4, kFp64)}) {
    const auto rest = train(plan, true);
    for (const auto& [step, loss] : rest)
      EXPECT_NEAR(loss, whole.at(step), 1e-9) << plan::summarize(plan);
  }
}

TEST_F(Checkpoint, OfShardedGroupsGoesOnUnderAnyOtherPlanAndBack) {
  constexpr auto kFp64 = spec::Precision::kFp64;
  const plan::Plan sharded =
      make_plan(8, {.tp_degree = 2, .zero_stage = 3, .shard_degree = 2}, 1, 2, kFp64);
  const plan::Plan plain = make_plan(1, {}, 1, 1, kFp64);
  for (const auto& [before, after] : {std::pair{sharded, plain}, std::pair{plain, sharded}}) {
    const auto whole = train(before, false);
    const auto rest = train(after, true);
    ASSERT_EQ(rest.size(), static_cast<std::size_t>(kSteps - kSavedAfter));
    for (const auto& [step, loss] : rest) EXPECT_NEAR(loss, whole.at(step), 1e-9);
  }
}

TEST_F(Checkpoint, OfAnyOptimizerGoesOnUnderAnyOtherPlan) {
  constexpr auto kFp64 = spec::Precision::kFp64;
  for (const std::string& name : spec::optimizer_names()) {
    const spec::OptimizerChoice optimizer(name, {});
    const auto whole =
        train(make_plan(4, {.tp_degree = 2, .zero_stage = 3}, 1, 2, kFp64), false, optimizer);
    for (const plan::Plan& plan :
         {make_plan(1, {}, 1, 1, kFp64),
          make_plan(4, {.ulysses_degree = 2, .zero_stage = 1}, 2, 4, kFp64)}) {
      const auto rest = train(plan, true, optimizer);
      ASSERT_EQ(rest.size(), static_cast<std::size_t>(kSteps - kSavedAfter));
      for (const auto& [step, loss] : rest)
        EXPECT_NEAR(loss, whole.at(step), 1e-9) << name << ", " << plan::summarize(plan);
    }
  }
}

TEST_F(Checkpoint, OfSgdGoesOnToTheBitAndIsNotForAdamW) {
  const spec::OptimizerChoice sgd("sgd", {});
  const auto whole = train(mixed_plan(), false, sgd);
  const auto rest = train(mixed_plan(), true, sgd);
  for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
  EXPECT_NE(refusal(kSeqLength, spec::Precision::kFp32, kSteps)
                .find("was trained with optimizer sgd, whose states adamw cannot go on from; "
                      "resume with sgd, or start anew from its weights"),
            std::string::npos);
}

TEST_F(Checkpoint, OfVersion1GoesOnToTheBit) {
  const auto whole = train(mixed_plan(), false);
  make_version1();
  EXPECT_EQ(refusal(kSeqLength, spec::Precision::kFp32, kSteps), "");
  const auto rest = train(mixed_plan(), true);
  ASSERT_EQ(rest.size(), static_cast<std::size_t>(kSteps - kSavedAfter));
  for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
}

TEST_F(Checkpoint, IsCheckedBeforeItIsUsed) {
  EXPECT_NE(config_error_of([&] { find_checkpoint(folder_); }).find("there is no checkpoint in"),
            std::string::npos);
  train(make_plan(1, {}), false);
  constexpr auto kFp32 = spec::Precision::kFp32;
  EXPECT_EQ(refusal(kSeqLength, kFp32, kSteps), "");
  EXPECT_NE(refusal(8, kFp32, kSteps).find("sequences of 16 tokens, not 8"), std::string::npos);
  EXPECT_NE(refusal(kSeqLength, kFp32, 3).find("has done 3 steps; --steps 3"), std::string::npos);
  EXPECT_NE(refusal(kSeqLength, spec::Precision::kFp64, kSteps).find("must be F64"),
            std::string::npos);
  const fs::path state = find_checkpoint(folder_) / "state.safetensors";
  fs::resize_file(state, fs::file_size(state) / 2);
  EXPECT_NE(refusal(kSeqLength, kFp32, kSteps).find("state.safetensors"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::train
