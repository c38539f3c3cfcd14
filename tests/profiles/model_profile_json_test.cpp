#include <cstdio>
#include <filesystem>

#include <gtest/gtest.h>

#include "galvatron/profiles/analytic.h"
#include "galvatron/profiles/model_profile.h"

#include "config_error.h"

namespace galvatron::profiles {
namespace {

ModelProfile example_model() {
  ModelProfile out = analytic_model_profile(spec::load_model("gpt2-tiny"), 64,
                                            spec::Precision::kBf16, {"d", 1e6, 0.5, 1e5, 0.25, {}});
  out.provenance = {"node7", "2025-06-01T12:00:00Z", {{"torch", "2.11.0"}}, 7, "measured"};
  return out;
}

Json as_json(const ModelProfile& profile) {
  return Json::parse(model_profile_to_json(profile).dump());
}

std::string model_refusal(const Json& json) {
  return config_error_of([&] { model_profile_from_json(json, "model.json"); });
}

TEST(ModelProfileJson, RoundTrip) {
  const ModelProfile before = example_model();
  const ModelProfile after = model_profile_from_json(as_json(before), "model.json");
  EXPECT_EQ(after.provenance, before.provenance);
  EXPECT_EQ(after.model, "gpt2-tiny");
  EXPECT_EQ(after.seq_length, 64);
  EXPECT_EQ(after.precision, spec::Precision::kBf16);
  EXPECT_EQ(after.device, "d");
  EXPECT_EQ(after.types, before.types);
}

TEST(ModelProfileJson, FileRoundTrip) {
  const auto path = std::filesystem::path(testing::TempDir()) / "galvatron_model_profile_test.json";
  write_model_profile(path, example_model());
  EXPECT_EQ(read_model_profile(path).types, example_model().types);
  std::filesystem::remove(path);
}

TEST(ModelProfileJson, NamesTheBadEntry) {
  Json json = as_json(example_model());
  json["layer_types"][1]["measurements"][0]["forward_ms"] = "fast";
  EXPECT_NE(model_refusal(json).find("layer_types[1]: measurements[0]"), std::string::npos)
      << model_refusal(json);
  json = as_json(example_model());
  json["layer_types"][0]["measurements"][0].erase("activation_bytes");
  EXPECT_NE(model_refusal(json).find("activation_bytes"), std::string::npos) << model_refusal(json);
  json = as_json(example_model());
  json["layer_types"][0]["measurements"][0]["forwrd_ms"] = 1;
  EXPECT_NE(model_refusal(json).find("forwrd_ms"), std::string::npos) << model_refusal(json);
}

TEST(ModelProfileJson, RefusesAbsurdValues) {
  Json json = as_json(example_model());
  json["layer_types"][0]["measurements"][0]["activation_bytes"] = -4;
  EXPECT_NE(model_refusal(json), "");
  json = as_json(example_model());
  json["layer_types"][0]["measurements"] = Json::array();
  EXPECT_NE(model_refusal(json).find("empty"), std::string::npos) << model_refusal(json);
  json = as_json(example_model());
  json["layer_types"].push_back(json["layer_types"][0]);
  EXPECT_NE(model_refusal(json).find("twice"), std::string::npos) << model_refusal(json);
  json = as_json(example_model());
  json["precision"] = "fp8";
  EXPECT_NE(model_refusal(json).find("fp8"), std::string::npos) << model_refusal(json);
  json = as_json(example_model());
  json["format"] = "galvatron-hardware-profile";
  EXPECT_NE(model_refusal(json).find("galvatron-model-profile"), std::string::npos)
      << model_refusal(json);
}

TEST(ModelProfileJson, RefusesTimesThatNobodyMeasured) {
  Json json = as_json(example_model());
  Json& list = json["layer_types"][1]["measurements"];
  const Json one = list[0];
  list = Json::array();
  for (const int samples : {1, 2}) {
    list.push_back(one);
    list.back()["samples"] = samples;
  }
  EXPECT_EQ(model_refusal(json), "");
  list[0]["forward_ms"] = 1e4;
  EXPECT_NE(model_refusal(json).find("layer_types[1]: 1 samples took"), std::string::npos)
      << model_refusal(json);
  list[0]["forward_ms"] = list[0]["backward_ms"] = 0;
  EXPECT_NE(model_refusal(json).find("0 ms for 1 samples"), std::string::npos)
      << model_refusal(json);
}

}  // namespace
}  // namespace galvatron::profiles
