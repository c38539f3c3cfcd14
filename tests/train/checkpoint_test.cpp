#include "galvatron/train/checkpoint.h"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include <ATen/Parallel.h>

#include "galvatron/base/json.h"
#include "galvatron/models/registry.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/train/checkpoint_files.h"

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
    TrainerOptions options = make_options(kSteps);
    options.optimizer = optimizer;
    return train(plan, resume, options);
  }

  std::map<std::int64_t, double> train(const plan::Plan& plan, bool resume,
                                       const TrainerOptions& options) const {
    const spec::ModelSpec model = tiny_gpt();
    std::map<std::int64_t, double> losses;
    comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
      at::set_num_threads(1);
      const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
      runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, !resume});
      Trainer trainer(engine, samples, nullptr, options);
      if (resume) load_checkpoint(newest(), engine, trainer);
      trainer.run([&](const StepRecord& record) {
        if (world.rank() == 0) losses[record.step] = record.loss;
        if (!resume && record.step == kSavedAfter)
          save_checkpoint(folder_, engine, trainer, {"run", kSeqLength});
      });
    });
    return losses;
  }

  fs::path newest() const { return checkpoint_candidates(folder_).paths.front(); }

  std::string refusal(std::int64_t seq_length, spec::Precision precision,
                      std::int64_t num_steps) const {
    return config_error_of([&] {
      check_checkpoint(newest(), tiny_gpt(), {seq_length, kGlobalBatch, precision}, num_steps);
    });
  }

  // Makes the saved checkpoint one of an old version: one file of whole tensors, no checksums. The
  // first version had AdamW alone, and names of its own for its states.
  void make_old(int version) const {
    const fs::path checkpoint = newest();
    const CheckpointIndex index = read_index(checkpoint);
    StateFiles files(checkpoint, index);
    std::map<std::string, std::string> parts{
        {"weights", "weights"}, {"exp_avg", "exp_avg"}, {"exp_avg_sq", "exp_avg_sq"}};
    if (version == 1) parts["exp_avg"] = "first", parts["exp_avg_sq"] = "second";
    std::map<std::string, at::Tensor> tensors;
    for (const spec::LayerSpec& layer : tiny_gpt().layers) {
      for (const spec::ParamSpec& param : layer.params) {
        runtime::Box whole;
        for (const std::int64_t size : param.shape) whole.ranges.push_back({0, size});
        for (const auto& [part, old] : parts) {
          const at::Tensor value = at::empty(param.shape);
          files.read(part + "/" + layer.full_name(param), whole, value);
          tensors[old + "/" + layer.full_name(param)] = value;
        }
      }
    }
    OrderedJson json{{"format", "galvatron-checkpoint"},
                     {"version", version},
                     {"model", index.model},
                     {"seq_length", index.seq_length},
                     {"steps_done", index.steps_done},
                     {"samples_consumed", index.samples_consumed},
                     {"optimizer_steps", index.optimizer_steps},
                     {"loss_scale", 1.0},
                     {"good_steps", 0}};
    if (version > 1) json["optimizer"] = "adamw";
    fs::remove_all(folder_);
    write_json_file(checkpoint / "checkpoint.json", json);
    models::write_safetensors(checkpoint / "state.safetensors", {tensors.begin(), tensors.end()});
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

TEST_F(Checkpoint, GoesOnInTheMiddleOfABatchThatGrows) {
  TrainerOptions options = make_options(kSteps);
  options.batch_rampup = {2, 2, 15};  // 2, 2, 2, then 4
  options.weight_decay = {DecayShape::kLinear, 2};
  options.param_groups = {"*.1.mlp*:lr=0.5x", "*ln_1*:frozen"};
  const auto whole = train(mixed_plan(), false, options);
  EXPECT_EQ(read_index(newest()).samples_consumed, 6);
  EXPECT_EQ(read_index(newest()).global_batch, kGlobalBatch) << "of the whole run";
  for (const auto& [step, loss] : train(mixed_plan(), true, options))
    EXPECT_EQ(loss, whole.at(step)) << "step " << step;
}

// Dropout, a loss scale that has changed, and samples of the second epoch.
TEST_F(Checkpoint, GoesOnToTheBitInTheMiddleOfEverything) {
  const spec::ModelSpec model = spec::model_from_config({{"model_type", "gpt2"},
                                                         {"vocab_size", 101},
                                                         {"n_positions", 32},
                                                         {"n_embd", 32},
                                                         {"n_layer", 4},
                                                         {"n_head", 8},
                                                         {"resid_pdrop", 0.1},
                                                         {"embd_pdrop", 0.1},
                                                         {"attn_pdrop", 0.1}},
                                                        "tiny");
  plan::Plan plan = mixed_plan();
  plan.precision = spec::Precision::kFp16;
  constexpr std::int64_t kManySteps = 14, kSaved = 10;  // an epoch is 8 steps
  const auto run = [&](bool resume) {
    std::map<std::int64_t, double> losses;
    comm::run_rank_threads(4, [&](comm::World& world) {
      at::set_num_threads(1);
      const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
      runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, !resume});
      TrainerOptions options = make_options(kManySteps);
      options.loss_scaling.initial = 16777216;  // overflows at first
      Trainer trainer(engine, samples, nullptr, options);
      if (resume) load_checkpoint(newest(), engine, trainer);
      trainer.run([&](const StepRecord& record) {
        if (world.rank() == 0) losses[record.step] = record.loss;
        if (!resume && record.step == kSaved)
          save_checkpoint(folder_, engine, trainer, {"run", kSeqLength});
      });
    });
    return losses;
  };
  const auto whole = run(false);
  const CheckpointIndex index = read_index(newest());
  EXPECT_LT(index.scaler.scale, 16777216);
  EXPECT_GT(index.scaler.good_steps, 0);
  const auto rest = run(true);
  ASSERT_EQ(rest.size(), static_cast<std::size_t>(kManySteps - kSaved));
  for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
}

TEST_F(Checkpoint, KeepsALossScaleToItsPrecision) {
  using enum spec::Precision;
  const auto scale_after = [&](spec::Precision before, spec::Precision after) {
    fs::remove_all(folder_);
    train(make_plan(1, {}, 1, 1, before), false);
    const spec::ModelSpec model = tiny_gpt();
    comm::World world = comm::single_world();
    const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
    runtime::Engine engine(model, make_plan(1, {}, 1, 1, after), world, models::make_layer,
                           {kSeed, kSeqLength});
    TrainerOptions options = make_options(kSteps);
    options.loss_scaling.initial = 4096;
    Trainer trainer(engine, samples, nullptr, options);
    load_checkpoint(newest(), engine, trainer);
    return trainer.loss_scaler().scale();
  };
  EXPECT_EQ(scale_after(kFp16, kFp16), 65536);
  EXPECT_EQ(scale_after(kBf16, kFp16), 4096);
  EXPECT_EQ(scale_after(kFp16, kBf16), 1);
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

TEST_F(Checkpoint, OfOldVersionsGoesOnToTheBit) {
  for (const int version : {1, 2}) {
    fs::remove_all(folder_);
    const auto whole = train(mixed_plan(), false);
    make_old(version);
    EXPECT_EQ(refusal(kSeqLength, spec::Precision::kFp32, kSteps), "");
    const auto rest = train(mixed_plan(), true);
    ASSERT_EQ(rest.size(), static_cast<std::size_t>(kSteps - kSavedAfter));
    for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
  }
}

TEST_F(Checkpoint, WrittenInTheBackgroundIsOfItsOwnStep) {
  const auto whole = train(mixed_plan(), false);
  fs::remove_all(folder_);
  const spec::ModelSpec model = tiny_gpt();
  comm::run_rank_threads(4, [&](comm::World& world) {
    at::set_num_threads(1);
    const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
    runtime::Engine engine(model, mixed_plan(), world, models::make_layer, {kSeed, kSeqLength});
    Trainer trainer(engine, samples, nullptr, make_options(kSteps));
    CheckpointWriter writer(folder_, engine, trainer, {"run", kSeqLength}, /*in_background=*/true);
    trainer.run([&](const StepRecord& record) {
      writer.look_after();
      if (record.step == 1 || record.step == kSavedAfter) writer.save();
    });
    writer.finish();
    EXPECT_EQ(writer.figures().count, 2);
    EXPECT_EQ(writer.newest(), folder_ / step_folder(kSavedAfter));
  });
  const auto rest = train(mixed_plan(), true);
  ASSERT_EQ(rest.size(), static_cast<std::size_t>(kSteps - kSavedAfter));
  for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << "step " << step;
}

TEST_F(Checkpoint, HoldsEveryElementOnce) {
  const spec::ModelSpec model = tiny_gpt();
  std::int64_t expected = 0;
  std::set<std::string> done;
  for (const spec::LayerSpec& layer : model.layers) {
    for (const spec::ParamSpec& param : layer.params) {
      if (done.insert(layer.full_name(param)).second) expected += param.numel();
    }
  }
  for (const plan::Plan& plan :
       {mixed_plan(), make_plan(3, {}), make_plan(4, {.tp_degree = 2}, 2, 4),
        make_plan(8, {.tp_degree = 2, .zero_stage = 3, .shard_degree = 2}, 1, 2)}) {
    fs::remove_all(folder_);
    train(plan, false);
    const CheckpointIndex index = read_index(newest());
    ASSERT_EQ(index.files.size(), static_cast<std::size_t>(plan.world_size));
    std::int64_t elements = 0, largest = 0;
    for (const FileRecord& file : index.files) {
      std::int64_t own = 0;
      const models::SafetensorsReader reader(newest() / file.name);
      for (const std::string& name : reader.names()) own += reader.find(name)->numel();
      elements += own;
      largest = std::max(largest, own);
    }
    EXPECT_EQ(elements, 3 * expected) << plan::summarize(plan);
    if (plan.pipeline.degree > 1) continue;
    EXPECT_LT(largest * plan.world_size, 3 * expected * 11 / 10)
        << "not even: " << plan::summarize(plan);
  }
}

TEST_F(Checkpoint, IsCheckedBeforeItIsUsed) {
  EXPECT_NE(config_error_of([&] { newest(); }).find("there is no checkpoint in"),
            std::string::npos);
  train(make_plan(1, {}), false);
  constexpr auto kFp32 = spec::Precision::kFp32;
  EXPECT_EQ(refusal(kSeqLength, kFp32, kSteps), "");
  EXPECT_NE(refusal(8, kFp32, kSteps).find("sequences of 16 tokens, not 8"), std::string::npos);
  EXPECT_NE(refusal(kSeqLength, kFp32, 3).find("has done 3 steps; --steps 3"), std::string::npos);
  EXPECT_NE(refusal(kSeqLength, spec::Precision::kFp64, kSteps).find("must be F64"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::train
