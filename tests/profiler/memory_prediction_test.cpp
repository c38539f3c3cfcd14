// The cost model's memory on a measured profile, beside what the runtime really allocates. One rank
// of each plan runs alone in a world whose collectives do nothing: its memory is that of training.
#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"

#include "memory_testing.h"

namespace galvatron::profiler {
namespace {

struct PlanCase {
  const char* name;
  plan::LayerStrategy strategy;
  int pp_degree = 1;
  int num_microbatches = 1;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B;
  spec::Precision precision = spec::Precision::kFp32;
  std::int64_t vocab_size = 1000;
  bool tied = true;
  const char* family = "gpt2";
  const char* optimizer = "adamw";
  spec::Communication communication = {};
};

PlanCase of_family(const char* name, const char* family, plan::LayerStrategy strategy,
                   int pp_degree = 1, int num_microbatches = 1) {
  PlanCase out{name, strategy, pp_degree, num_microbatches};
  out.family = family;
  return out;
}

PlanCase with_communication(spec::Communication communication, PlanCase of) {
  of.communication = communication;
  return of;
}

PlanCase with_optimizer(const char* optimizer, PlanCase of) {
  of.optimizer = optimizer;
  return of;
}

plan::LayerStrategy strategy(int tp, int ulysses, int zero,
                             plan::Recompute recompute = plan::Recompute::kNone) {
  return {.tp_degree = tp, .ulysses_degree = ulysses, .zero_stage = zero, .recompute = recompute};
}

spec::Communication communication(spec::GradReduce when, spec::GradReducePrecision precision) {
  spec::Communication out;
  out.grad_reduce = when;
  out.grad_reduce_precision = precision;
  return out;
}

const spec::Communication kOnceAStep =
    communication(spec::GradReduce::kStep, spec::GradReducePrecision::kFp32);
const spec::Communication kInBf16 =
    communication(spec::GradReduce::kMicrobatch, spec::GradReducePrecision::kBf16);

const std::vector<PlanCase>& cases() {
  using plan::Recompute;
  using plan::ScheduleKind;
  static const std::vector<PlanCase> all = {
      {"data_parallel", strategy(1, 1, 0)},
      {"data_parallel_2_microbatches", strategy(1, 1, 0), 1, 2},
      {"zero1", strategy(1, 1, 1)},
      {"zero2", strategy(1, 1, 2)},
      {"zero2_2_microbatches", strategy(1, 1, 2), 1, 2},
      {"zero3", strategy(1, 1, 3)},
      {"zero3_shard2", {.zero_stage = 3, .shard_degree = 2}},
      {"tp2_zero2_shard2_2_microbatches",
       {.tp_degree = 2, .zero_stage = 2, .shard_degree = 2},
       1,
       2},
      {"zero3_recompute", strategy(1, 1, 3, Recompute::kFull), 1, 2},
      {"zero3_selective", strategy(1, 1, 3, Recompute::kSelective)},
      {"tp2", strategy(2, 1, 0)},
      {"tp8", strategy(8, 1, 0)},
      {"tp4_zero3", strategy(4, 1, 3)},
      {"ulysses4", strategy(1, 4, 0)},
      {"ulysses2_tp2_zero2", strategy(2, 2, 2)},
      {"pipeline4_1f1b", strategy(1, 1, 0), 4, 4},
      {"pipeline2_gpipe", strategy(1, 1, 0), 2, 4, ScheduleKind::kGPipe},
      {"interleaved2", strategy(1, 1, 0), 2, 4, ScheduleKind::kInterleaved},
      {"interleaved2_tp2_zero2", strategy(2, 1, 2), 2, 4, ScheduleKind::kInterleaved},
      {"interleaved4_2_microbatches", strategy(1, 1, 1), 4, 2, ScheduleKind::kInterleaved},
      {"interleaved4_zero3", strategy(1, 1, 3), 4, 8, ScheduleKind::kInterleaved},
      {"pipeline2_recompute", strategy(2, 1, 1, Recompute::kFull), 2, 4},
      {"bf16_zero3", strategy(1, 1, 3), 1, 2, ScheduleKind::k1F1B, spec::Precision::kBf16},
      {"bf16_tp4", strategy(4, 1, 1), 1, 1, ScheduleKind::k1F1B, spec::Precision::kBf16},
      {"wide_data_parallel", strategy(1, 1, 0), 1, 1, ScheduleKind::k1F1B, spec::Precision::kFp32,
       8000},
      {"wide_zero2", strategy(1, 1, 2), 1, 1, ScheduleKind::k1F1B, spec::Precision::kFp32, 8000},
      {"wide_zero3", strategy(1, 1, 3), 1, 1, ScheduleKind::k1F1B, spec::Precision::kFp32, 8000},
      {"wide_zero3_recompute", strategy(1, 1, 3, Recompute::kFull), 1, 1, ScheduleKind::k1F1B,
       spec::Precision::kFp32, 8000},
      {"wide_zero3_recompute_2_microbatches", strategy(1, 1, 3, Recompute::kFull), 1, 2,
       ScheduleKind::k1F1B, spec::Precision::kFp32, 8000},
      {"wide_zero3_untied", strategy(1, 1, 3, Recompute::kFull), 1, 1, ScheduleKind::k1F1B,
       spec::Precision::kFp32, 8000, false},
      {"wide_tp2_zero3_bf16", strategy(2, 1, 3), 1, 2, ScheduleKind::k1F1B, spec::Precision::kBf16,
       8000},
      {"wide_pipeline2_zero2", strategy(1, 1, 2), 2, 4, ScheduleKind::k1F1B, spec::Precision::kFp32,
       8000},
      with_communication(kOnceAStep, {"zero2_once_a_step", strategy(1, 1, 2), 1, 2}),
      with_communication(kOnceAStep, {"tp2_zero3_once_a_step", strategy(2, 1, 3), 1, 4}),
      with_communication(kInBf16, {"data_parallel_in_bf16", strategy(1, 1, 0)}),
      with_communication(kInBf16, {"zero1_in_bf16", strategy(1, 1, 1)}),
      with_communication(kInBf16, {"zero2_in_bf16", strategy(1, 1, 2), 1, 2}),
      of_family("bert", "bert", strategy(1, 1, 0)),
      of_family("bert_tp2_zero3", "bert", strategy(2, 1, 3)),
      of_family("mistral", "mistral", strategy(1, 1, 0)),
      of_family("mistral_ulysses2_zero2", "mistral", strategy(1, 2, 2)),
      of_family("neox_tp2_zero1", "gpt_neox", strategy(2, 1, 1)),
      of_family("olmo2", "olmo2", strategy(1, 1, 0)),
      of_family("olmo2_tp2_zero3", "olmo2", strategy(2, 1, 3)),
      of_family("gemma2", "gemma2", strategy(1, 1, 0)),
      of_family("gemma2_zero3_selective", "gemma2", strategy(1, 1, 3, Recompute::kSelective)),
      of_family("t5", "t5", strategy(1, 1, 0)),
      of_family("t5_tp2_zero1_pipeline2", "t5", strategy(2, 1, 1), 2, 4),
      of_family("t5_zero3_recompute", "t5", strategy(1, 1, 3, Recompute::kFull)),
      of_family("vit", "vit", strategy(1, 1, 0)),
      of_family("vit_ulysses2_zero2", "vit", strategy(1, 2, 2)),
      of_family("swin", "swin", strategy(1, 1, 0)),
      of_family("swin_zero2", "swin", strategy(1, 1, 2)),
      of_family("vit_pipeline2", "vit", strategy(1, 1, 1), 2, 4),
      with_optimizer("sgd", {"sgd", strategy(1, 1, 0)}),
      with_optimizer("sgd", {"sgd_zero1", strategy(1, 1, 1)}),
      with_optimizer("sgd", {"sgd_tp4_zero3_recompute", strategy(4, 1, 3, Recompute::kFull), 1, 2}),
      with_optimizer("sgd", {"sgd_bf16_zero3", strategy(1, 1, 3), 1, 2, ScheduleKind::k1F1B,
                             spec::Precision::kBf16}),
      with_optimizer("lion", {"lion", strategy(1, 1, 0)}),
      with_optimizer("lion", {"lion_tp2_zero3", strategy(2, 1, 3), 1, 2}),
      with_optimizer("adafactor", {"adafactor", strategy(1, 1, 0)}),
      with_optimizer("adafactor", {"adafactor_tp2_zero3", strategy(2, 1, 3), 1, 2}),
      with_optimizer("muon", {"muon", strategy(1, 1, 0)}),
      with_optimizer("muon", {"muon_zero1", strategy(1, 1, 1)}),
      with_optimizer("muon", {"muon_tp2_zero3_bf16", strategy(2, 1, 3), 1, 2, ScheduleKind::k1F1B,
                              spec::Precision::kBf16}),
      with_optimizer("sgd", {"sgd_wide_pipeline2_zero2", strategy(1, 1, 2), 2, 4,
                             ScheduleKind::k1F1B, spec::Precision::kFp32, 8000}),
  };
  return all;
}

class MemoryPrediction : public testing::TestWithParam<PlanCase> {
 protected:
  static void SetUpTestSuite() { measure_alone(); }
};

TEST_P(MemoryPrediction, OfEveryStageIsNearThePeak) {
  const PlanCase& param = GetParam();
  const spec::ModelSpec model = tiny_model(param.family, param.vocab_size, param.tied);
  const std::int64_t seq_length = model.choose_seq_length(kSeqLength, kSeqLength);
  const spec::JobSpec job{seq_length, kGlobalBatch, param.precision,
                          &spec::find_optimizer(param.optimizer), param.communication};
  const plan::Plan plan = plan::uniform_plan(model, job, 8, param.strategy, param.pp_degree,
                                             param.num_microbatches, param.schedule);
  plan::require_valid_plan(plan, model, {8, seq_length});
  expect_between(memory_of(param.name, model, job, plan), 0.97, 1.03, 0, param.name);
}

INSTANTIATE_TEST_SUITE_P(Plans, MemoryPrediction, testing::ValuesIn(cases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace galvatron::profiler
