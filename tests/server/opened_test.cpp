#include "galvatron/server/opened.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "galvatron/galvatron2/plan.h"
#include "galvatron/plan/plan.h"
#include "galvatron/profiles/cluster.h"
#include "galvatron/profiles/hardware_profile.h"

#include "config_error.h"

namespace galvatron::server {
namespace {

namespace fs = std::filesystem;

plan::Plan small_plan() {
  plan::LayerStrategy zero2;
  zero2.zero_stage = 2;
  return plan::uniform_plan(spec::load_model("gpt2-tiny"), {.global_batch = 8}, 4, zero2);
}

std::string kind_of(const std::string& text) {
  return identify("file.json", {{"file.json", text}})["kind"];
}

TEST(Opened, ToldByWhatItHolds) {
  EXPECT_EQ(kind_of(plan::plan_to_json(small_plan()).dump()), "plan");
  const auto theirs = galvatron2::from_our_plan(small_plan());
  EXPECT_EQ(kind_of(galvatron2::plan_to_json(theirs).dump()), "galvatron2_plan");
  const profiles::Cluster cluster = profiles::load_cluster("8xA100");
  EXPECT_EQ(kind_of(profiles::cluster_to_json(cluster).dump()), "cluster");
  const auto hardware = cluster.hardware(spec::Precision::kBf16);
  EXPECT_EQ(kind_of(profiles::hardware_profile_to_json(hardware).dump()), "hardware_profile");
  EXPECT_EQ(kind_of(R"({"model_type": "gpt2"})"), "model_config");
}

TEST(Opened, HasATitleAndItsContent) {
  const OrderedJson opened =
      identify("plan.json", {{"plan.json", plan::plan_to_json(small_plan()).dump()}});
  EXPECT_EQ(opened["title"], "plan for gpt2-tiny on 4 ranks");
  EXPECT_EQ(opened["content"]["world_size"], 4);
  const OrderedJson model = identify("my-gpt", {{"config.json", R"({"model_type": "gpt2"})"}});
  EXPECT_EQ(model["title"], "my-gpt, 124 M parameters");
}

TEST(Opened, SaysWhyNot) {
  const auto why_not = [](const std::string& text) {
    return config_error_of([&] { identify("file.json", {{"file.json", text}}); });
  };
  EXPECT_NE(why_not("{}").find("file.json is no plan"), std::string::npos) << why_not("{}");
  for (const char* text : {"", "[]", "3", "nothing", "{\"a\": NaN}", "{\"model_type\": \"gpt5\"}",
                           "{\"format\": \"galvatron-plan\"}", "\xff", "{\"a\": 1, \"a\": 2}"}) {
    EXPECT_NE(why_not(text).find("file.json"), std::string::npos) << text;
  }
  EXPECT_NE(why_not(std::string(100'000, '[')).find("deeper than"), std::string::npos);
  EXPECT_NE(config_error_of([] { identify("folder", {}); }).find("folder"), std::string::npos);
}

TEST(Opened, FilesAndFoldersOfTheCommandLine) {
  const fs::path folder = fs::path(testing::TempDir()) / "opened_model";
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << R"({"model_type": "gpt2"})";
  EXPECT_EQ(read_texts(folder, mebibytes(1)).size(), 1U);
  EXPECT_EQ(read_texts(folder / "config.json", mebibytes(1)).begin()->first, "config.json");
  EXPECT_NE(config_error_of([&] { read_texts(folder, {4}); }).find("too large"), std::string::npos);
  EXPECT_NE(config_error_of([&] { read_texts(folder / "none", mebibytes(1)); }), "");
}

}  // namespace
}  // namespace galvatron::server
