#include "galvatron/server/questions.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "galvatron/galvatron2/plan.h"
#include "galvatron/profiles/cluster.h"

#include "config_error.h"

namespace galvatron::server {
namespace {

namespace fs = std::filesystem;

Json question(const std::string& options = "{}") {
  return Json::parse(R"({"model": "gpt2-tiny", "machine": {"cluster": "8xA100"}, "options": )" +
                     options + "}");
}

std::string error_of(const Json& asked) {
  return config_error_of([&] { Asked(asked).search(); });
}

TEST(Questions, AreThoseOfTheCommandLine) {
  const auto prepared =
      Asked(question(R"({"world_size": 4, "memory": "24GiB", "global_batch": "16", "num_layers": 3,
                         "allow": ["tp_degree<=2"], "time_limit": 5})"))
          .search();
  EXPECT_EQ(prepared.question.hardware.world_size, 4);
  EXPECT_EQ(prepared.question.memory, gibibytes(24));
  EXPECT_EQ(prepared.question.job.global_batch, 16);
  EXPECT_EQ(prepared.question.model.num_blocks(), 3);
  EXPECT_EQ(prepared.options.time_limit, 5);
}

TEST(Questions, LeaveOutWhatAnotherAsks) {
  const Asked asked(question(R"({"budgets": 12, "global_batch": "16", "seq_length": 64})"));
  EXPECT_EQ(asked.frontier().num_budgets, 12);
  EXPECT_EQ(asked.search().question.job.seq_length, 64);
  EXPECT_EQ(asked.plans().request.question.seq_length, 64);
}

TEST(Questions, RefuseWhatNobodyAsks) {
  const std::string sentence = config_error_of([] { Asked(question(R"({"global_bach": "16"})")); });
  EXPECT_NE(sentence.find("'global_bach' is unknown, did you mean 'global_batch'?"),
            std::string::npos)
      << sentence;
  for (const char* path : {"hardware", "profile", "output", "csv"}) {
    const Json options = {{path, "file"}};
    EXPECT_NE(config_error_of([&] { Asked(question(options.dump())); }), "") << path;
  }
}

// What a request names is never looked for on the disk.
TEST(Questions, NameNoFiles) {
  const fs::path folder = fs::path(testing::TempDir()) / "questions";
  fs::create_directories(folder);
  const std::string model = folder / "config.json", cluster = folder / "cluster.json";
  std::ofstream(model) << R"({"model_type": "gpt2"})";
  write_json_file(cluster, profiles::cluster_to_json(profiles::load_cluster("8xA100")));
  ASSERT_NO_THROW(spec::load_model(model));
  ASSERT_NO_THROW(profiles::load_cluster(cluster));
  for (const std::string& name : {model, folder.string(), std::string("../models/gpt2-tiny"),
                                  std::string("gpt2-tiny.json"), std::string(1, '\0')}) {
    Json asked = question();
    asked["model"] = name;
    EXPECT_TRUE(error_of(asked).starts_with("[model] '")) << name;
    asked = question();
    asked["machine"]["cluster"] = name == model ? cluster : name;
    EXPECT_NE(error_of(asked), "") << name;
    for (const char* list : {"model", "cluster"}) {
      const Json options = {{list, name}};
      const auto sweep = Asked(question(options.dump())).sweep();
      EXPECT_NE(config_error_of([&] { planning::run_sweep(sweep); }), "") << list << " " << name;
    }
  }
}

TEST(Questions, TakeTheContentOfFiles) {
  Json asked = question();
  asked["machine"]["cluster"] = profiles::cluster_to_json(profiles::load_cluster("8xH100"));
  asked["model"] =
      Json::parse(R"({"model_type": "gpt2", "n_layer": 5, "_name_or_path": "my/gpt"})");
  const auto prepared = Asked(asked).search();
  EXPECT_EQ(prepared.question.model.name, "gpt");
  EXPECT_EQ(prepared.question.model.num_blocks(), 5);
  EXPECT_EQ(prepared.question.hardware.device,
            profiles::load_cluster("8xH100").hardware(spec::Precision::kBf16).device);
}

TEST(Questions, SweepsBeginWithTheQuestion) {
  Json asked = question(R"({"world_size": [2, 4], "seq_length": [64], "global_batch": "8"})");
  asked["model"] =
      Json::parse(R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 2})");
  const auto rows = planning::run_sweep(Asked(asked).sweep());
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].cluster, "8xA100");
  EXPECT_EQ(rows[1].world_size, 4);
}

TEST(Questions, AreNoLongerThanAnybodyNeeds) {
  EXPECT_NE(config_error_of([] {
              parse_content("{\"" + std::string(300, 'x') + "\": 1}", "it");
            }).find("longer than 256 B"),
            std::string::npos);
  EXPECT_NE(config_error_of([] { parse_content("[\"" + std::string(70'000, 'x') + "\"]", "it"); }),
            "");
  EXPECT_NO_THROW(parse_content("[\"" + std::string(70'000, 'x') + "\"]", "it", mebibytes(1)));
  Json many = Json::array();
  for (int i = 0; i < 1001; ++i) many.push_back("tp_degree=1");
  const Json options = {{"allow", many}};
  EXPECT_NE(config_error_of([&] { Asked(question(options.dump())); }).find("1001 values"),
            std::string::npos);
  Json asked = question();
  asked["model"] = std::string(300, 'x');
  EXPECT_NE(error_of(asked).find("longer than"), std::string::npos);
}

TEST(Questions, OptionsAreKeywordArguments) {
  EXPECT_EQ(in_request_words("[search] --memory-margin 5% leaves nothing"),
            "[search] memory_margin 5% leaves nothing");
  EXPECT_EQ(in_request_words("see `galvatron search --memory 3`, not --no-option"),
            "see `galvatron search --memory 3`, not --no-option");
}

TEST(Questions, PlansOfBothKinds) {
  const Asked asked(question());
  const auto about = asked.plans();
  const plan::Plan ours = plan::uniform_plan(about.model, {.global_batch = 8}, 8, {});
  const Json named = {{"name", "mine"}, {"plan", Json::parse(plan::plan_to_json(ours).dump())}};
  const auto read = asked.plan(named, about);
  EXPECT_EQ(read.name, "mine");
  EXPECT_EQ(read.plan.layers, ours.layers);

  plan::Plan zero2 = ours;
  for (plan::LayerStrategy& layer : zero2.layers) layer.zero_stage = 2;
  Json theirs = Json::parse(galvatron2::plan_to_json(galvatron2::from_our_plan(zero2)).dump());
  theirs.erase("world_size");  // the machine's
  const auto converted = asked.plan({{"plan", theirs}}, about);
  EXPECT_EQ(converted.plan.world_size, 8);
  EXPECT_EQ(converted.plan.layers, zero2.layers);
}

TEST(Questions, PlansOfTooManySteps) {
  const Asked asked(question());
  const auto about = asked.plans();
  plan::Plan plan = plan::uniform_plan(about.model, {.global_batch = 8}, 8, {});
  plan.global_batch = plan.num_microbatches = 1'000'000'000;
  const Json named = {{"plan", Json::parse(plan::plan_to_json(plan).dump())}};
  EXPECT_NE(config_error_of([&] { asked.plan(named, about); }).find("1000000000 microbatches"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::server
