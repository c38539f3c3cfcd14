#include "galvatron/galvatron2/plan.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::galvatron2 {
namespace {

// As its search writes them.
Json recorded() {
  return Json::parse(R"({
    "pp_deg": 2, "tp_sizes_enc": "2,2,1,4", "tp_consecutive_flags": "1,1,1,1",
    "dp_types_enc": "0,1,1,0", "use_sp": "0,1,0,0", "checkpoint": "1,0,0,0",
    "world_size": 8, "global_bsz": 16, "chunks": 4, "pp_division": "1,3",
    "pipeline_type": "pipedream_flush", "default_dp_type": "zero2",
    "vtp": 2, "vsp": 0, "embed_sdp": 1})");
}

std::string plan_refusal(const char* key, const Json& value) {
  Json json = recorded();
  json[key] = value;
  return config_error_of([&] { plan_from_json(json, "plan.json"); });
}

TEST(Plan, ReadsWhatWasRecorded) {
  const Plan plan = plan_from_json(recorded(), "plan.json");
  EXPECT_EQ(plan.layers_per_stage, (std::vector<int>{1, 3}));
  EXPECT_EQ(plan.layers[0], (Strategy{2, false, false, true}));
  EXPECT_EQ(plan.layers[1], (Strategy{2, true, true, false}));
  EXPECT_EQ(plan.vocabulary, (Strategy{2, false, true, false}));
  EXPECT_EQ(plan.schedule, plan::ScheduleKind::k1F1B);
  EXPECT_EQ(plan.dp_degree(plan.layers[3]), 1);
  EXPECT_EQ(count_transitions(plan), 3);
  EXPECT_EQ(plan_from_json(plan_to_json(plan), "again"), plan);
}

TEST(Plan, OlderFilesLackKeys) {
  const Json old = Json::parse(R"({"pp_deg": 1, "tp_sizes_enc": "1,2",
    "tp_consecutive_flags": "1,1", "dp_types_enc": "1,0", "global_bsz": 8, "chunks": 2})");
  const Plan plan = plan_from_json(old, "old.json", 4);
  EXPECT_EQ(plan.world_size, 4);
  EXPECT_EQ(plan.default_zero_stage, 0);
  EXPECT_EQ(plan.schedule, plan::ScheduleKind::kGPipe);
  EXPECT_NE(config_error_of([&] { plan_from_json(old, "old.json"); }).find("--world-size"),
            std::string::npos);
}

TEST(Plan, NamesFileAndKeyOfWhatIsWrong) {
  const std::tuple<const char*, Json, const char*> wrong[] = {
      {"tp_sizes_enc", "2,x,1,4", "'x'"},
      {"tp_sizes_enc", "2,,1,4", "tp_sizes_enc"},
      {"tp_sizes_enc", "2,0,1,4", "'0'"},
      {"tp_sizes_enc", "2,2,1,3", "3 does not divide the 4 ranks"},
      {"tp_sizes_enc", 4, "tp_sizes_enc"},
      {"dp_types_enc", "0,1,1", "has 3 entries, tp_sizes_enc 4"},
      {"use_sp", "0,2,0,0", "use_sp"},
      {"pp_deg", 3, "3 does not divide world_size 8"},
      {"pp_deg", -1, "pp_deg"},
      {"pp_deg", 1e30, "pp_deg"},
      {"pp_division", "2,3", "does not give 2 stages of 4 layers"},
      {"pp_division", "4", "pp_division"},
      {"global_bsz", 0, "global_bsz"},
      {"global_bsz", nullptr, "global_bsz"},
      {"chunks", "four", "chunks"},
      {"pipeline_type", "1f1b", "pipeline_type"},
      {"default_dp_type", "fsdp", "default_dp_type"},
      {"vtp", 8, "vtp 8 does not divide the 4 ranks"},
      {"vocab_sdp", 0, "contradict each other"},
      {"cp_sizes_enc", "1,2,1,1", "other than 1"},
      {"tp_size_enc", "1", "tp_size_enc"}};
  for (const auto& [key, value, words] : wrong) {
    const std::string said = plan_refusal(key, value);
    EXPECT_NE(said.find("plan.json"), std::string::npos) << key << ": " << said;
    EXPECT_NE(said.find(words), std::string::npos) << key << ": " << said;
  }
  Json json = recorded();
  json.erase("global_bsz");
  EXPECT_NE(config_error_of([&] { plan_from_json(json, "plan.json"); }).find("global_bsz"),
            std::string::npos);
  EXPECT_NE(config_error_of([&] {
              plan_from_json(recorded(), "plan.json", 4);
            }).find("world_size 8, not 4"),
            std::string::npos);
}

TEST(Plan, GoesToOursAndBack) {
  const Plan theirs = plan_from_json(recorded(), "plan.json");
  const plan::Plan ours = to_our_plan(theirs, "llama2-7b", spec::Precision::kBf16);
  EXPECT_EQ(ours.pipeline.layers_per_stage, (std::vector<int>{2, 4}));
  EXPECT_EQ(ours.layers.size(), 6u);
  EXPECT_EQ(ours.layers[0].zero_stage, 3);
  EXPECT_EQ(ours.layers[1].recompute, plan::Recompute::kFull);
  EXPECT_EQ(ours.layers[2].ulysses_degree, 2);
  EXPECT_EQ(from_our_plan(ours), theirs);
}

TEST(Plan, KeepsWhereTpRanksLie) {
  Json json = recorded();
  json["tp_consecutive_flags"] = "0,0,1,1";
  json["use_sp"] = "0,1,0,0";
  const Plan theirs = plan_from_json(json, "plan.json");
  const plan::Plan ours = to_our_plan(theirs, "llama2-7b", spec::Precision::kBf16);
  EXPECT_FALSE(ours.layers[1].tp_consecutive);
  EXPECT_TRUE(ours.layers[2].tp_consecutive) << "Ulysses ranks are always neighbours";
  EXPECT_TRUE(ours.layers[3].tp_consecutive);
  EXPECT_EQ(from_our_plan(ours), theirs);
  EXPECT_EQ(plan_to_json(theirs)["tp_consecutive_flags"], "0,1,1,1");
}

TEST(Plan, RefusesWhatItCannotExpress) {
  const plan::Plan good =
      to_our_plan(plan_from_json(recorded(), "plan.json"), "m", spec::Precision::kBf16);
  const auto message = [&](auto change) {
    plan::Plan plan = good;
    change(plan);
    return config_error_of([&] { from_our_plan(plan); });
  };
  EXPECT_NE(message([](plan::Plan& plan) { plan.layers[2].zero_stage = 1; }).find("layer 2"),
            std::string::npos);
  EXPECT_NE(message([](plan::Plan& plan) { plan.layers[1].zero_stage = 0; }).find("one beside 3"),
            std::string::npos);
  EXPECT_NE(
      message([](plan::Plan& plan) { plan.layers[1].ulysses_degree = 2; }).find("both TP and"),
      std::string::npos);
  EXPECT_NE(message([](plan::Plan& plan) {
              plan.layers[3].recompute = plan::Recompute::kSelective;
            }).find("selective"),
            std::string::npos);
  EXPECT_NE(message([](plan::Plan& plan) { plan.layers.back().tp_degree = 4; }).find("differ"),
            std::string::npos);
  EXPECT_NE(message([](plan::Plan& plan) {
              plan.pipeline.layers_per_stage = {1, 5};
            }).find("nothing but embedding or head"),
            std::string::npos);
  EXPECT_EQ(message([](plan::Plan& plan) {
              plan.pipeline = {2, plan::ScheduleKind::kInterleaved, {2, 1, 1, 2}};
            }),
            "[galvatron2 plan] the plan has 2 stages per pipeline rank (schedule interleaved); "
            "Galvatron-2 has one: search with --schedule 1f1b");
  EXPECT_EQ(
      message([](plan::Plan& plan) { plan.pipeline.schedule = plan::ScheduleKind::kZeroBubbleH1; }),
      "[galvatron2 plan] the plan has schedule zb-h1; Galvatron-2 has gpipe and 1f1b: search with "
      "--schedule 1f1b");
}

// As searches write them that give degrees of TP and Ulysses side by side.
Json later() {
  return Json::parse(R"({
    "global_bsz": 16, "chunks": 4, "pp_size": 2, "throughput": 16.03, "time": 0.99,
    "embedding_lmhead_dp_size": 2, "embedding_lmhead_tp_size": 1, "embedding_lmhead_sp_size": 2,
    "embedding_lmhead_cp_size": 1, "embedding_lmhead_dp_type": "zero3", "default_dp_type": "zero2",
    "dp_size_enc": "2,2,4", "tp_size_enc": "2,1,1", "sp_size_enc": "1,2,1", "cp_size_enc": "1,1,1",
    "checkpoint_enc": "1,0,0", "dp_type_enc": "0,1,1"})");
}

TEST(Plan, ReadsLaterNames) {
  const Json usual = Json::parse(R"({
    "pp_deg": 2, "tp_sizes_enc": "2,2,1", "tp_consecutive_flags": "1,1,1", "dp_types_enc": "0,1,1",
    "use_sp": "0,1,0", "checkpoint": "1,0,0", "world_size": 8, "global_bsz": 16, "chunks": 4,
    "default_dp_type": "zero2", "vtp": 2, "vsp": 1, "vocab_sdp": 1})");
  EXPECT_EQ(plan_from_json(later(), "later.json"), plan_from_json(usual, "usual.json"));
  const auto refusal = [](const char* key, const Json& value) {
    Json json = later();
    json[key] = value;
    return config_error_of([&] { plan_from_json(json, "later.json"); });
  };
  const std::tuple<const char*, Json, const char*> wrong[] = {
      {"sp_size_enc", "2,2,1", "both TP 2 and Ulysses 2"},
      {"sp_size_enc", "1,2", "has 2 entries, tp_size_enc 3"},
      {"cp_size_enc", "2,1,1", "a degree other than 1"},
      {"embedding_lmhead_dp_type", "fsdp", "embedding_lmhead_dp_type"},
      {"speed", 3, "speed"}};
  for (const auto& [key, value, words] : wrong)
    EXPECT_NE(refusal(key, value).find(words), std::string::npos) << refusal(key, value);
}

TEST(Plan, TakesBlanksAsPythonDoes) {
  Json json = recorded();
  json["tp_sizes_enc"] = "2, 2, 1 ,4";
  EXPECT_EQ(plan_from_json(json, "plan.json"), plan_from_json(recorded(), "plan.json"));
}

}  // namespace
}  // namespace galvatron::galvatron2
