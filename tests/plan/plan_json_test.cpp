#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/plan.h"

#include "config_error.h"

namespace galvatron::plan {
namespace {

constexpr const char* kPlan = R"({
  "format": "galvatron-plan",
  "version": 1,
  "model": "llama2-7b",
  "world_size": 8,
  "global_batch": 64,
  "num_microbatches": 8,
  "precision": "bf16",
  "pipeline": {"degree": 2, "schedule": "1f1b", "layers_per_stage": [17, 17]},
  "layers": [
    {"count": 1, "tp_degree": 4, "zero_stage": 3},
    {"count": 20, "tp_degree": 2, "zero_stage": 2, "recompute": "full"},
    {"count": 12, "ulysses_degree": 4, "zero_stage": 3},
    {"count": 1, "tp_degree": 4, "zero_stage": 1}
  ]
}
)";

Plan parse(const std::string& text) { return plan_from_json(parse_json(text, "p.json"), "p.json"); }

// kPlan with one key changed or, with a null value, removed.
std::string plan_refusal(const std::string& key, const Json& value) {
  Json json = Json::parse(kPlan);
  if (value.is_null()) {
    json.erase(key);
  } else {
    json[key] = value;
  }
  return config_error_of([&] { plan_from_json(json, "p.json"); });
}

TEST(PlanJson, ReadsTheExampleOfTheDesign) {
  const Plan plan = parse(kPlan);
  EXPECT_EQ(plan.model, "llama2-7b");
  ASSERT_EQ(plan.layers.size(), 34u);
  EXPECT_EQ(plan.layers[0].tp_degree, 4);
  EXPECT_EQ(plan.layers[20].recompute, Recompute::kFull);
  EXPECT_EQ(plan.layers[21].ulysses_degree, 4);
  EXPECT_EQ(plan.layers[21].recompute, Recompute::kNone);
  EXPECT_EQ(plan.pipeline, (Pipeline{2, ScheduleKind::k1F1B, {17, 17}}));
  EXPECT_EQ(check_plan(plan, spec::load_model("llama2-7b")), std::nullopt);
}

TEST(PlanJson, IsWrittenForAReaderAndComesBackTheSame) {
  EXPECT_EQ(plan_to_text(parse(kPlan)), kPlan);
  const auto path = std::filesystem::temp_directory_path() /
                    ("galvatron_plan_test_" + std::to_string(getpid()) + ".json");
  write_plan(path, parse(kPlan));
  EXPECT_EQ(plan_to_text(read_plan(path)), kPlan);
  std::filesystem::remove(path);
}

TEST(PlanJson, KeepsTheSearchSectionLast) {
  Plan plan = parse(kPlan);
  plan.search = OrderedJson::parse(R"({"zeta": "two\nlines", "alpha": [1, {"x": null}]})");
  const std::string text = plan_to_text(plan);
  EXPECT_GT(text.find("\"search\""), text.find("\"layers\""));
  EXPECT_EQ(Json(parse(text).search), Json(plan.search)) << "order of keys aside";
}

TEST(PlanJson, AbsentKeysHaveDefaults) {
  const Plan plan = parse(R"({"format": "galvatron-plan", "version": 1, "world_size": 4,
                              "global_batch": 8, "layers": [{}, {"count": 2}]})");
  EXPECT_EQ(plan.layers, std::vector<LayerStrategy>(3));
  EXPECT_EQ(plan.num_microbatches, 1);
  EXPECT_EQ(plan.precision, spec::Precision::kBf16);
  EXPECT_EQ(plan.pipeline, (Pipeline{1, ScheduleKind::k1F1B, {3}}));
  const Plan staged = parse(R"({"format": "galvatron-plan", "version": 1, "world_size": 4,
      "global_batch": 8, "layers": [{"count": 5}], "pipeline": {"degree": 2}})");
  EXPECT_EQ(staged.pipeline.layers_per_stage, (std::vector<int>{2, 3}));
  const Plan interleaved = parse(R"({"format": "galvatron-plan", "version": 1, "world_size": 4,
      "global_batch": 8, "layers": [{"count": 5}],
      "pipeline": {"degree": 2, "schedule": "interleaved"}})");
  EXPECT_EQ(interleaved.pipeline.layers_per_stage, (std::vector<int>{1, 1, 1, 2}))
      << "two stages on a rank";
}

TEST(PlanJson, RandomPlansComeBackTheSame) {
  constexpr unsigned kSeed = 7;
  std::mt19937 random(kSeed);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 200; ++round) {
    Plan plan;
    plan.model = "m\"\n" + std::to_string(round);
    plan.world_size = 1 + pick(64);
    plan.global_batch = 1 + pick(1000);
    plan.num_microbatches = 1 + pick(64);
    plan.precision = static_cast<spec::Precision>(pick(4));
    const int layers = 3 + pick(12);
    plan.pipeline.degree = 1 + pick(3);
    plan.pipeline.schedule = static_cast<ScheduleKind>(pick(3));
    const bool interleaved = plan.pipeline.schedule == ScheduleKind::kInterleaved;
    plan.pipeline.layers_per_stage =
        even_stages(layers, interleaved ? layers : plan.pipeline.degree);
    for (int i = 0; i < layers; ++i) {
      const bool repeat = i > 0 && pick(2) == 0;
      plan.layers.push_back(repeat ? plan.layers.back()
                                   : LayerStrategy{1 + pick(8), 1 + pick(8), 1 + pick(3),
                                                   1 + pick(3), pick(4), pick(4),
                                                   static_cast<Recompute>(pick(3)), pick(2) == 0});
    }
    const Plan back = parse(plan_to_text(plan));
    EXPECT_EQ(back.layers, plan.layers) << "seed " << kSeed << " round " << round;
    EXPECT_EQ(back.pipeline, plan.pipeline);
    EXPECT_EQ(plan_to_text(back), plan_to_text(plan));
  }
}

TEST(PlanJson, RefusesWhatIsNoPlanOfOurs) {
  EXPECT_EQ(plan_refusal("format", "galvatron-profile"),
            "[plan] p.json is no plan of ours: its \"format\" is 'galvatron-profile', not "
            "'galvatron-plan'");
  EXPECT_EQ(plan_refusal("version", 2),
            "[plan] p.json has version 2; this program reads version 1");
  EXPECT_NE(config_error_of([] { parse(R"({"pp_deg": 2, "tp_sizes_enc": "1,1"})"); }), "");
}

TEST(PlanJson, RefusesUnknownKeysAndNamesTheNearest) {
  EXPECT_EQ(plan_refusal("num_microbatch", 4),
            "[json] p.json: key 'num_microbatch' is unknown, did you mean 'num_microbatches'?");
  EXPECT_EQ(plan_refusal("layers", Json::parse(R"([{"count": 34, "tp_degre": 2}])")),
            "[json] p.json: group 0 of layers (from layer 0): key 'tp_degre' is unknown, did you "
            "mean 'tp_degree'?");
  EXPECT_EQ(plan_refusal("layers", Json::parse(R"([{"count": 30}, {"tp_degree": 0}])")),
            "[json] p.json: group 1 of layers (from layer 30): key 'tp_degree' is 0, outside 1 .. "
            "1048576");
  EXPECT_EQ(plan_refusal("pipeline", Json::parse(R"({"degree": 1, "schedul": "gpipe"})")),
            "[json] p.json: pipeline: key 'schedul' is unknown, did you mean 'schedule'?");
}

TEST(PlanJson, RefusesValuesOutOfRange) {
  EXPECT_EQ(plan_refusal("world_size", 0),
            "[json] p.json: key 'world_size' is 0, outside 1 .. 1048576");
  EXPECT_EQ(plan_refusal("precision", "fp8"),
            "[json] p.json: key 'precision' is 'fp8', not one of fp64, fp32, bf16, fp16; fp8 is "
            "not supported yet; train has --fp8, beside bf16");
  EXPECT_NE(config_error_of([] {
              parse(R"({"format": "galvatron-plan", "version": 1, "world_size": 1})");
            }).find("'global_batch' is missing"),
            std::string::npos);
  EXPECT_EQ(plan_refusal("global_batch", Json()), "[json] p.json: key 'global_batch' is missing");
  EXPECT_EQ(config_error_of([] {
              parse(R"({"format": "galvatron-plan", "version": 1, "world_size": 1,
                        "global_batch": null})");
            }),
            "[json] p.json: key 'global_batch' is null; give it a value or leave it away");
  EXPECT_NE(plan_refusal("layers", Json::parse(R"([{"zero_stage": 4}])")).find("'zero_stage' is 4"),
            std::string::npos);
  EXPECT_NE(plan_refusal("layers", Json::parse(R"([{"count": 1000000000}])")).find("'count'"),
            std::string::npos);
  EXPECT_NE(plan_refusal("layers", Json::parse(R"([{"recompute": "fully"}])")).find("'full'"),
            std::string::npos);
  EXPECT_NE(plan_refusal("pipeline", Json::parse(R"({"layers_per_stage": [34, 0]})"))
                .find("'layers_per_stage' is 0"),
            std::string::npos);
  EXPECT_NE(plan_refusal("layers", 3).find("must be an array"), std::string::npos);
  const Json groups = Json(3, Json{{"count", 9000}});
  EXPECT_NE(plan_refusal("layers", groups).find("layers"), std::string::npos);
}

TEST(PlanJson, SaysOfCommunicationWhatIsNotUsual) {
  Plan plan = parse(kPlan);
  EXPECT_FALSE(plan_to_json(plan).contains("communication"));
  plan.communication = {spec::GradReduce::kStep, spec::GradReducePrecision::kBf16,
                        spec::ParameterGather::kOverlap, Bytes{0}, Bytes{4096}};
  const OrderedJson json = plan_to_json(plan);
  EXPECT_EQ(json["communication"].dump(),
            R"({"grad_reduce":"step","grad_reduce_precision":"bf16","parameter_gather":"overlap",)"
            R"("reduce_window":0,"gather_window":4096})");
  EXPECT_EQ(parse(json.dump()).communication, plan.communication);
  EXPECT_NE(
      plan_refusal("communication", Json::parse(R"({"grad_reduce": "often"})")).find("microbatch"),
      std::string::npos);
  EXPECT_NE(
      plan_refusal("communication", Json::parse(R"({"gather_windw": 1})")).find("'gather_window'"),
      std::string::npos);
}

// A plan with a damaged byte is a plan or one sentence, never a crash.
TEST(PlanJson, SurvivesDamage) {
  constexpr unsigned kSeed = 11;
  std::mt19937 random(kSeed);
  const std::string whole = kPlan;
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = whole.substr(0, round % 4 == 0 ? random() % whole.size() : whole.size());
    if (text.empty()) continue;
    text[random() % text.size()] = static_cast<char>(random() % 256);
    if (!config_error_of([&] { parse(text); }).empty()) ++refused;
  }
  EXPECT_GT(refused, 500) << "seed " << kSeed;
}

}  // namespace
}  // namespace galvatron::plan
