#include "galvatron/planning/plan_question.h"

#include <gtest/gtest.h>

#include "galvatron/plan/recorded_question.h"

#include "config_error.h"

namespace galvatron::planning {
namespace {

const spec::JobSpec kPricedJob{1024, 16, spec::Precision::kBf16};

spec::ModelSpec priced_gpt() { return spec::load_model("gpt2"); }

plan::Plan plan_for(int world_size) {
  return plan::uniform_plan(priced_gpt(), kPricedJob, world_size, {.tp_degree = 2}, 2, 4);
}

PricedPlan price(const PlanQuestionRequest& request, const plan::Plan& plan) {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster("8xA100");
  return price_plan(request, plan, priced_gpt(), knowledge, "plan.json");
}

TEST(PricePlan, TakesBatchPrecisionAndRanksFromThePlan) {
  plan::Plan plan = plan_for(4);
  plan.precision = spec::Precision::kFp16;
  const PricedPlan priced = price({}, plan);
  EXPECT_EQ(priced.question.hardware.world_size, 4);
  EXPECT_EQ(priced.question.job.global_batch, 16);
  EXPECT_EQ(priced.question.job.precision, spec::Precision::kFp16);
  EXPECT_EQ(priced.question.memory_given, priced.question.hardware.device_memory);
  EXPECT_TRUE(priced.fits());
}

TEST(PricePlan, IsWhatTheCostModelSays) {
  const PricedPlan priced = price({}, plan_for(8));
  EXPECT_EQ(cost::plan_cost_to_json(priced.cost),
            cost::plan_cost_to_json(cost::estimate(priced.question.inputs(), priced.plan)));
}

TEST(PricePlan, TheRecordedTrainingCountsUnlessAnotherIsAskedFor) {
  plan::Plan plan = plan_for(8);
  spec::JobSpec recorded = kPricedJob;
  recorded.seq_length = 256;
  recorded.optimizer = &spec::find_optimizer("sgd");
  plan::record_question(plan, recorded);
  EXPECT_EQ(price({}, plan).question.job.seq_length, 256);
  EXPECT_EQ(price({}, plan).question.job.optimizer->name, "sgd");
  PlanQuestionRequest request;
  request.question.seq_length = 128;
  request.optimizer = "adamw";
  EXPECT_EQ(price(request, plan).question.job.seq_length, 128);
  EXPECT_EQ(price(request, plan).question.job.optimizer->name, "adamw");
}

TEST(PricePlan, TheRecordedDocumentsBelongToTheRecordedLength) {
  plan::Plan plan = plan_for(8);
  spec::JobSpec recorded = kPricedJob;
  recorded.attended_length = 200;
  plan::record_question(plan, recorded);
  EXPECT_EQ(price({}, plan).question.job.attended_length, 200);
  PlanQuestionRequest request;
  request.question.seq_length = 128;
  EXPECT_EQ(price(request, plan).question.job.attended_length, 0);
}

TEST(PricePlan, APredictionSaysWhatItIsOf) {
  const PricedPlan priced = price({}, plan_for(8));
  const plan::Plan plan = with_prediction(priced);
  EXPECT_EQ(plan.search["prediction"]["step_ms"], priced.cost.step_time.value);
  EXPECT_EQ(plan::unlike_recorded(plan, priced.question.job), std::nullopt);
}

TEST(PricePlan, SaysWhatDoesNotFit) {
  PlanQuestionRequest request;
  request.question.memory = mebibytes(600);
  request.question.memory_reserve = Bytes{1};
  const PricedPlan priced = price(request, plan_for(4));
  EXPECT_FALSE(priced.fits());
  EXPECT_EQ(why_it_does_not_fit(priced), "plan.json does not fit: its fullest device needs " +
                                             to_text(priced.cost.peak_memory()) + " of 600 MiB, " +
                                             to_text(priced.cost.peak_memory() - mebibytes(600)) +
                                             " too much");
}

TEST(PricePlan, RefusesAPlanThatCannotBeTrained) {
  plan::Plan plan = plan_for(8);
  plan.num_microbatches = 64;
  EXPECT_NE(config_error_of([&] { price({}, plan); }).find("num_microbatches 64 is more than"),
            std::string::npos);
  PlanQuestionRequest request;
  request.question.seq_length = 1 << 20;
  EXPECT_NE(config_error_of([&] { price(request, plan_for(8)); }).find("1048576"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::planning
