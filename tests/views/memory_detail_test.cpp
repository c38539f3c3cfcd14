#include "galvatron/views/memory_detail.h"

#include <gtest/gtest.h>

#include "galvatron/views/priced_view.h"

#include "config_error.h"
#include "views/random_plan_testing.h"
#include "views/views_testing.h"

namespace galvatron::views {
namespace {

std::int64_t bytes_of(const OrderedJson& node) { return node["bytes"].get<std::int64_t>(); }

// Of each node with children, that they add up to it.
void expect_sums(const OrderedJson& node) {
  if (!node.contains("children")) return;
  std::int64_t sum = 0;
  for (const OrderedJson& child : node["children"]) {
    EXPECT_GE(bytes_of(child), 0);
    sum += bytes_of(child);
    expect_sums(child);
  }
  EXPECT_EQ(sum, bytes_of(node)) << node["name"];
}

struct Largest {
  std::int64_t sum = 0;
  std::size_t index = 0;
};
Largest largest_over_time(const OrderedJson& over_time) {
  Largest out;
  for (std::size_t i = 0; i < over_time["ms"].size(); ++i) {
    std::int64_t sum = 0;
    for (const auto& part : over_time["parts"].items()) {
      sum += part.value()[i].get<std::int64_t>();
    }
    if (sum > out.sum) out = {sum, i};
  }
  return out;
}

// Everything that is said of a rank is the prediction, to the byte.
void expect_consistent(const planning::PricedPlan& priced) {
  const OrderedJson memory = memory_view(priced);
  for (int rank = 0; rank < priced.plan.pipeline.degree; ++rank) {
    const OrderedJson detail = memory_detail(priced, rank);
    const OrderedJson& said = memory["ranks"][static_cast<std::size_t>(rank)];
    const auto total = said["total"]["value"].get<std::int64_t>();
    const OrderedJson& times = detail["over_time"]["ms"];
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
    EXPECT_EQ(largest_over_time(detail["over_time"]).sum, total);
    EXPECT_EQ(detail["peak"]["total"]["value"], total);
    std::int64_t alive = 0;
    for (const OrderedJson& one : detail["peak"]["alive"]) alive += bytes_of(one);
    EXPECT_EQ(alive, total);
    ASSERT_EQ(detail["tree"].size(), said["parts"].size());
    for (std::size_t i = 0; i < said["parts"].size(); ++i) {
      const OrderedJson &node = detail["tree"][i], &part = said["parts"][i];
      EXPECT_EQ(node["name"], part["name"]);
      EXPECT_EQ(bytes_of(node), bytes_of(part)) << part["name"];
      expect_sums(node);
    }
  }
}

TEST(MemoryDetail, OfAnyPlanOfAnyFamilyAddsUpToThePrediction) {
  RandomPlans plans(7);
  for (const char* name :
       {"gpt2-tiny", "llama-tiny", "bert-tiny", "t5-tiny", "vit-tiny", "swin-large"}) {
    const PlanQuestion question = asked_about(name, "8xA100");
    for (int i = 0; i < 25; ++i) {
      const plan::Plan plan = plans.next(question.model, 8);
      const PlanAnswer answer = answer_plan(question, {name, plan});
      if (!answer.priced) continue;  // too short a sequence for its degrees
      SCOPED_TRACE(plan::plan_to_text(plan));
      expect_consistent(*answer.priced);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(MemoryDetail, OfALongStepKeepsThePeak) {
  const plan::Plan plan =
      plan::uniform_plan(spec::load_model("gpt2"), {1024, 2048, spec::Precision::kBf16}, 8,
                         {.zero_stage = 3}, 4, 2048);
  const PlanAnswer answer = answer_gpt2(plan);
  expect_consistent(*answer.priced);
  EXPECT_LT(memory_detail(*answer.priced, 0)["over_time"]["ms"].size(), 3001u);
}

TEST(MemoryDetail, NamesTensorsOfEachLayer) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({.tp_degree = 2, .zero_stage = 1}));
  const OrderedJson tree = memory_detail(*answer.priced, 0)["tree"];
  EXPECT_EQ(tree[0]["name"], "parameters");
  const OrderedJson& block = tree[0]["children"][1];
  EXPECT_EQ(block["name"], "block.0");
  std::map<std::string, std::int64_t> tensors;
  for (const OrderedJson& one : block["children"]) tensors[one["name"]] = bytes_of(one);
  EXPECT_EQ(tensors["attention.qkv.weight"], 2 * 768 * 3 * 768 / 2);  // bf16, half by TP
}

TEST(MemoryDetail, SaysWhatIsAliveAtThePeak) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({.zero_stage = 3}, 2));
  const OrderedJson alive = memory_detail(*answer.priced, 0)["peak"]["alive"];
  std::string names;
  for (const OrderedJson& one : alive) names += one["name"].get<std::string>() + "\n";
  EXPECT_NE(names.find("optimizer states\n"), std::string::npos) << names;
  EXPECT_NE(names.find("activations of 1 microbatch that waits for backward\n"), std::string::npos)
      << names;
  EXPECT_NE(names.find("reserve\n"), std::string::npos) << names;
}

TEST(MemoryDetail, APipelineRankThatIsNotThereIsRefused) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({}, 2));
  EXPECT_EQ(config_error_of([&] { memory_detail(*answer.priced, 2); }),
            "[plan] pp_rank 2 is outside 0 .. 1, the pipeline ranks of the plan");
}

}  // namespace
}  // namespace galvatron::views
