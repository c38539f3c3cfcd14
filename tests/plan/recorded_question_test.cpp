#include "galvatron/plan/recorded_question.h"

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

const spec::JobSpec kJob{512, 16, spec::Precision::kFp32, &spec::find_optimizer("sgd")};

Plan predicted_plan() {
  Plan plan = uniform_plan(spec::load_model("gpt2-tiny"), kJob, 4, {.tp_degree = 2});
  plan.search = {{"prediction", {{"step_ms", 12.5}}}};
  record_question(plan, kJob);
  return plan;
}

TEST(RecordedQuestion, IsReadBack) {
  const auto job = recorded_question(predicted_plan());
  ASSERT_TRUE(job);
  EXPECT_EQ(job->seq_length, 512);
  EXPECT_EQ(job->global_batch, 16);
  EXPECT_EQ(job->precision, spec::Precision::kFp32);
  EXPECT_EQ(job->optimizer->name, "sgd");
  EXPECT_EQ(unlike_recorded(predicted_plan(), kJob), std::nullopt);
}

TEST(RecordedQuestion, SurvivesTheFile) {
  const Plan plan = predicted_plan();
  const Plan again = plan_from_json(Json::parse(plan_to_text(plan)), "plan");
  EXPECT_EQ(plan_digest(again), plan_digest(plan));
  EXPECT_EQ(unlike_recorded(again, kJob), std::nullopt);
}

TEST(RecordedQuestion, IsOfOneTrainingAlone) {
  const auto with = [](auto change) {
    spec::JobSpec job = kJob;
    change(job);
    return unlike_recorded(predicted_plan(), job).value_or("");
  };
  EXPECT_EQ(with([](auto& job) { job.seq_length = 1024; }),
            "the plan's is of sequence length 512, not 1024");
  EXPECT_EQ(with([](auto& job) { job.global_batch = 8; }),
            "the plan's is of global batch 16, not 8");
  EXPECT_EQ(with([](auto& job) { job.precision = spec::Precision::kBf16; }),
            "the plan's is of precision fp32, not bf16");
  EXPECT_EQ(with([](auto& job) { job.optimizer = &spec::find_optimizer("adamw"); }),
            "the plan's is of optimizer sgd, not adamw");
}

TEST(RecordedQuestion, OfDocumentsIsOfNearlyAsLongOnes) {
  Plan plan = predicted_plan();
  spec::JobSpec job = kJob;
  job.attended_length = 128;
  EXPECT_EQ(unlike_recorded(plan, job), "the plan's is of attended length 512, not 128");
  record_question(plan, job);
  EXPECT_EQ(recorded_question(plan)->attended_length, 128);
  EXPECT_EQ(unlike_recorded(plan, kJob), "the plan's is of attended length 128, not 512");
  job.attended_length = 140;
  EXPECT_EQ(unlike_recorded(plan, job), std::nullopt);
}

TEST(RecordedQuestion, IsNotOfAnEditedPlan) {
  for (auto* edit : {+[](Plan& plan) { plan.pipeline.schedule = ScheduleKind::kGPipe; },
                     +[](Plan& plan) { plan.num_microbatches = 2; },
                     +[](Plan& plan) { plan.layers[1].zero_stage = 3; }}) {
    Plan plan = predicted_plan();
    edit(plan);
    EXPECT_EQ(unlike_recorded(plan, kJob), "the plan was edited since it was predicted");
  }
}

TEST(RecordedQuestion, OfOthersWordsThereIsNone) {
  for (const char* text : {"null", "3", "{}", R"({"question": 3})", R"({"question": {}})",
                           R"({"question": {"seq_length": -1}})"}) {
    Plan plan = predicted_plan();
    plan.search = OrderedJson::parse(text);
    EXPECT_FALSE(recorded_question(plan)) << text;
    EXPECT_EQ(unlike_recorded(plan, kJob),
              "the plan does not say of which training its prediction is");
  }
}

}  // namespace
}  // namespace galvatron::plan
