// Memory of random plans, predicted and measured.
#include "memory_testing.h"
#include "runtime/random_plan.h"

namespace galvatron::profiler {
namespace {

// Any mix of strategies, schedules, stages and microbatches, of every family.
class MixedMemoryPrediction : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { measure_alone(); }
};

TEST_P(MixedMemoryPrediction, OfEveryStageIsNearThePeak) {
  constexpr std::uint64_t kSeed = 1;
  constexpr int kPlans = 8;
  constexpr std::int64_t kSpare = 64 << 10;
  galvatron::testing::Random random(kSeed);
  const spec::ModelSpec model = tiny_model(GetParam(), 1000, true);
  const std::int64_t seq_length = model.choose_seq_length(kSeqLength, kSeqLength);
  galvatron::testing::TrainingCase drawn;
  drawn.model = model;
  drawn.seq_length = seq_length;
  drawn.global_batch = kGlobalBatch;
  for (int i = 0; i < kPlans; ++i) {
    const int world_size = galvatron::testing::pick_of<int>(random, {2, 4, 6, 8, 8});
    plan::Plan plan = galvatron::testing::random_plan(random, drawn, world_size);
    plan.precision = spec::Precision::kFp32;
    const spec::JobSpec job{seq_length, kGlobalBatch, plan.precision};
    const std::string name = std::string(GetParam()) + " " + std::to_string(i);
    // Above: small Swins whose last microbatch, of five, is the only larger one.
    expect_between(
        memory_of(name, model, job, plan), 0.94, 1.2, kSpare,
        name + ", seed " + std::to_string(kSeed) + "\n" + plan::plan_to_json(plan).dump(1));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, MixedMemoryPrediction,
                         ::testing::Values("gpt2", "bert", "mistral", "gpt_neox", "olmo2", "gemma2",
                                           "t5", "vit", "swin"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace galvatron::profiler
