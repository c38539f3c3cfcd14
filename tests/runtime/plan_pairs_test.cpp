// Training goes on under another plan as if nothing had happened: k steps under plan A, a
// checkpoint, and the next steps under plan B, against those of A that was left alone.
#include <cmath>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/plan/check_plan.h"

#include "runtime/checkpointing_rank.h"
#include "runtime/random_plan.h"
#include "test_threads.h"

namespace galvatron::testing {
namespace {

namespace fs = std::filesystem;

using spec::Precision;

constexpr int kStepsBefore = 3, kStepsAfter = 2;
// Of the loss of a next step. In fp64 of every one: later ones also see the optimizer's states.
constexpr double kTolerance32 = 1e-6, kTolerance64 = 1e-10;

// One way to spread a model, the same for all layers.
struct Spread {
  const char* name;
  int world_size;
  plan::LayerStrategy strategy;
  int pp_degree = 1;
  int num_microbatches = 1;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B;
  int stages_per_rank = 0;
};

const std::vector<Spread>& spreads() {
  using enum plan::ScheduleKind;
  constexpr auto kFull = plan::Recompute::kFull, kSelective = plan::Recompute::kSelective;
  static const std::vector<Spread> all = {
      {"one rank", 1, {}},
      {"ZeRO-1 on 3", 3, {.zero_stage = 1}},
      {"TP 2, ZeRO-3", 4, {.tp_degree = 2, .zero_stage = 3}},
      {"pipeline of 2, ZeRO-2", 4, {.zero_stage = 2}, 2, 2},
      {"interleaved", 2, {}, 2, 4, kInterleaved, 2},
      {"Ulysses 2, ZeRO-3 in parts of 2",
       8,
       {.ulysses_degree = 2, .zero_stage = 3, .shard_degree = 2}},
      {"strided TP 2, ZeRO-2, full recomputation",
       8,
       {.tp_degree = 2, .zero_stage = 2, .recompute = kFull, .tp_consecutive = false}},
      {"pipeline of 3, ZeRO-3", 6, {.zero_stage = 3, .recompute = kSelective}, 3, 4, kGPipe},
      {"ZeRO-0 on 2", 2, {}, 1, 2},
      {"interleaved TP 2, ZeRO-1", 8, {.tp_degree = 2, .zero_stage = 1}, 2, 4, kInterleaved, 2},
      {"TP 3, ZeRO-2 in parts", 6, {.tp_degree = 3, .zero_stage = 2, .shard_degree = 2}}};
  return all;
}

// One model of every family. Sizes that 2 divides, and heads that 2 and 3 do.
const std::vector<Json>& family_configs() {
  constexpr int kVocabulary = 37, kHidden = 24, kHeads = 6;
  static const std::vector<Json> all = {{{"model_type", "gpt2"},
                                         {"vocab_size", kVocabulary},
                                         {"n_positions", 32},
                                         {"n_embd", kHidden},
                                         {"n_layer", 4},
                                         {"n_head", kHeads},
                                         {"resid_pdrop", 0.1},
                                         {"embd_pdrop", 0.1},
                                         {"attn_pdrop", 0.1}},
                                        {{"model_type", "llama"},
                                         {"vocab_size", kVocabulary},
                                         {"hidden_size", kHidden},
                                         {"intermediate_size", 30},
                                         {"num_hidden_layers", 4},
                                         {"num_attention_heads", kHeads},
                                         {"num_key_value_heads", kHeads},
                                         {"max_position_embeddings", 32},
                                         {"hidden_act", "silu"},
                                         {"rms_norm_eps", 1e-6}},
                                        {{"model_type", "bert"},
                                         {"vocab_size", kVocabulary},
                                         {"hidden_size", kHidden},
                                         {"num_hidden_layers", 4},
                                         {"num_attention_heads", kHeads},
                                         {"intermediate_size", 30},
                                         {"max_position_embeddings", 32},
                                         {"type_vocab_size", 2}},
                                        {{"model_type", "t5"},
                                         {"vocab_size", kVocabulary},
                                         {"d_model", kHidden},
                                         {"d_kv", 4},
                                         {"d_ff", 30},
                                         {"num_layers", 2},
                                         {"num_decoder_layers", 2},
                                         {"num_heads", kHeads},
                                         {"feed_forward_proj", "gated-gelu"}},
                                        {{"model_type", "vit"},
                                         {"hidden_size", kHidden},
                                         {"num_hidden_layers", 4},
                                         {"num_attention_heads", kHeads},
                                         {"intermediate_size", 30},
                                         {"image_size", 8},
                                         {"patch_size", 2},
                                         {"num_channels", 3},
                                         {"num_labels", 7}},
                                        {{"model_type", "swin"},
                                         {"embed_dim", kHidden},
                                         {"depths", {2, 2}},
                                         {"num_heads", {kHeads, kHeads}},
                                         {"window_size", 2},
                                         {"image_size", 16},
                                         {"patch_size", 2},
                                         {"num_channels", 3},
                                         {"num_labels", 7}}};
  return all;
}

TrainingCase job_of(const Json& config) {
  TrainingCase job;
  job.model = spec::model_from_config(config, "pairs");
  job.seq_length = job.model.choose_seq_length(30, 0);
  job.global_batch = 8;
  return job;
}

plan::Plan plan_of(const TrainingCase& job, const Spread& spread, Precision precision) {
  return plan::uniform_plan(job.model, {job.seq_length, job.global_batch, precision},
                            spread.world_size, spread.strategy, spread.pp_degree,
                            spread.num_microbatches, spread.schedule, spread.stages_per_rank);
}

class PlanPairs : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  void save(CheckpointingRank& rank, const char* name, const TrainingCase& job) const {
    rank.trainer.set_progress(kStepsBefore, kStepsBefore * job.global_batch);
    train::save_checkpoint(folder_ / name, rank.engine, rank.trainer, {"run", job.seq_length});
  }

  fs::path saved(const char* name) const {
    return train::checkpoint_candidates(folder_ / name).paths.front();
  }

  // Losses of the steps behind the checkpoint that it writes.
  std::vector<double> begin(const TrainingCase& job, const plan::Plan& plan) const {
    std::vector<double> losses;
    comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
      use_test_threads();
      CheckpointingRank rank(job, plan, world, job.seed);
      for (int step = 0; step < kStepsBefore; ++step) run_step(rank, job, step);
      save(rank, "before", job);
      go_on(rank, job, world, losses);
    });
    return losses;
  }

  // The same of another plan that goes on from there, and what that saves before its first step.
  std::vector<double> resume(const TrainingCase& job, const plan::Plan& plan) const {
    std::vector<double> losses;
    comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
      use_test_threads();
      CheckpointingRank rank(job, plan, world, job.seed, /*makes_weights=*/false);
      train::load_checkpoint(saved("before"), rank.engine, rank.trainer);
      save(rank, "after", job);
      go_on(rank, job, world, losses);
    });
    return losses;
  }

  static double run_step(CheckpointingRank& rank, const TrainingCase& job, int step) {
    return train_step(job, rank.engine, rank.trainer.optimizer(), step).loss;
  }

  static void go_on(CheckpointingRank& rank, const TrainingCase& job, const comm::World& world,
                    std::vector<double>& losses) {
    for (int step = kStepsBefore; step < kStepsBefore + kStepsAfter; ++step) {
      const double loss = run_step(rank, job, step);
      if (world.rank() == 0) losses.push_back(loss);
    }
  }

  // Weights and every state of the optimizer, whole, from both checkpoints: equal to the bit.
  void expect_same_state(const TrainingCase& job) const {
    train::StateFiles before(saved("before"), train::read_index(saved("before")));
    train::StateFiles after(saved("after"), train::read_index(saved("after")));
    std::vector<std::string> parts = job.optimizer.spec().states;
    parts.push_back("weights");
    for (const spec::LayerSpec& layer : job.model.layers) {
      for (const spec::ParamSpec& param : layer.params) {
        for (const std::string& part : parts) {
          const bool is_matrix = layer.is_block_matrix(param);
          const std::vector<std::int64_t> shape =
              part == "weights" ? param.shape
                                : job.optimizer.spec().state_shape(part, param, is_matrix);
          if (shape.empty()) continue;
          runtime::Box whole;
          for (const std::int64_t size : shape) whole.ranges.push_back({0, size});
          const std::string entry = part + "/" + layer.full_name(param);
          const at::Tensor one = at::empty(shape, at::kDouble), other = at::empty_like(one);
          before.read(entry, whole, one);
          after.read(entry, whole, other);
          EXPECT_TRUE(at::equal(one, other)) << entry;
        }
      }
    }
  }

  void check(const TrainingCase& job, const plan::Plan& before, const plan::Plan& after,
             const std::string& name) {
    fs::remove_all(folder_);
    ASSERT_FALSE(plan::check_plan(after, job.model, {after.world_size, job.seq_length})) << name;
    const std::vector<double> expected = begin(job, before), actual = resume(job, after);
    ASSERT_EQ(actual.size(), static_cast<std::size_t>(kStepsAfter));
    const bool exact = before.precision == Precision::kFp64;
    for (std::size_t i = 0; i < (exact ? actual.size() : 1); ++i) {
      const double difference = std::abs(actual[i] - expected[i]) / std::abs(expected[i]);
      EXPECT_LE(difference, exact ? kTolerance64 : kTolerance32) << "step " << i << ": " << name;
      double& worst = exact ? worst64_ : worst32_;
      worst = std::max(worst, difference);
    }
    expect_same_state(job);
  }

  void say_worst() const {
    RecordProperty("worst_fp32", std::to_string(worst32_ * 1e9) + "e-9");
    RecordProperty("worst_fp64", std::to_string(worst64_ * 1e15) + "e-15");
  }

  const fs::path folder_ =
      fs::path(::testing::TempDir()) / ("galvatron_plan_pairs_" + std::to_string(getpid()));
  double worst32_ = 0, worst64_ = 0;
};

// Six pairs for each family: every way to spread is left and entered, by several families.
TEST_F(PlanPairs, EveryFamilyGoesOnUnderAnotherPlan) {
  constexpr std::size_t kPairsOfFamily = 6;
  const std::size_t num_spreads = spreads().size();
  std::set<std::pair<std::size_t, std::size_t>> done;
  for (std::size_t f = 0; f < family_configs().size(); ++f) {
    const TrainingCase job = job_of(family_configs()[f]);
    for (std::size_t i = 0; i < kPairsOfFamily; ++i) {
      const std::size_t number = f * kPairsOfFamily + i, from = number % num_spreads,
                        to = (from + 1 + number / num_spreads) % num_spreads;
      const Spread &before = spreads()[from], &after = spreads()[to];
      done.insert({from, to});
      for (const Precision precision : {Precision::kFp32, Precision::kFp64}) {
        check(job, plan_of(job, before, precision), plan_of(job, after, precision),
              job.model.config.at("model_type").get<std::string>() + ", " +
                  spec::to_text(precision) + ": " + before.name + " -> " + after.name);
      }
    }
  }
  EXPECT_EQ(done.size(), 36U);
  say_worst();
}

TEST_F(PlanPairs, RandomPlansOfRandomModelsDoToo) {
  constexpr std::uint64_t kFirstSeed = 500, kPairs = 24;
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kPairs; ++seed) {
    const FuzzCase test = fuzz_case(seed);
    Random random(seed + 1000);
    const plan::Plan after = random_plan(random, test.job, std::vector{1, 2, 3, 4, 6, 8}[seed % 6]);
    check(test.job, test.plan, after,
          "seed " + std::to_string(seed) + ": " + describe(test) + " -> " + plan::summarize(after));
  }
  say_worst();
}

}  // namespace
}  // namespace galvatron::testing
