#include <gtest/gtest.h>

#include "galvatron/profiles/hardware_profile.h"

#include "config_error.h"

namespace galvatron::profiles {
namespace {

HardwareProfile example_hardware() {
  HardwareProfile out;
  out.provenance = {"node7", "2025-06-01T12:00:00Z", {{"torch", "2.11.0"}}, 7, "measured"};
  out.device = "cpu: test";
  out.world_size = 8;
  out.ranks_per_node = 4;
  out.device_memory = gibibytes(16);
  out.memory_reserve = mebibytes(150);
  out.overlap_slowdown = 1.25;
  out.tp_overlap = 0.5;
  out.gather_overlap = 0.75;
  out.contention = {{1, 1}, {8, 4.5}};
  out.overlaps = {{Collective::kAllGather, false, {1.5, 2}},
                  {Collective::kAllReduce, true, {1.25, 3}}};
  out.optimizer_ns_per_element = 1.5;
  out.other_optimizers_ns = {{"sgd", 1.25}};
  out.tables = {{Collective::kAllReduce, {4, 2}, Curve({{1024, 0.25}, {4096, 0.5}})},
                {Collective::kPointToPoint, {2, 4}, Curve(Line{0.5, 0.25})}};
  out.links = {{"intra_node", {0.01, 1000}}, {"inter_node", {0.1, 50}}};
  return out;
}

Json as_json(const HardwareProfile& profile) {
  return Json::parse(hardware_profile_to_json(profile).dump());
}

std::string hardware_refusal(const Json& json) {
  return config_error_of([&] { hardware_profile_from_json(json, "hw.json"); });
}

TEST(HardwareProfile, OverlapIsThatOfTheLinksOrOfTheOthers) {
  const HardwareProfile profile = example_hardware();
  const GroupShape inside{4, 1}, between{2, 4};
  EXPECT_EQ(profile.overlap(Collective::kAllReduce, between), (Overlap{1.25, 3}));
  EXPECT_EQ(profile.overlap(Collective::kAllReduce, inside), (Overlap{1.25, 3}));
  EXPECT_EQ(profile.overlap(Collective::kAllGather, between), (Overlap{1.5, 2}));
  EXPECT_EQ(profile.overlap(Collective::kReduceScatter, inside), (Overlap{1.25, 1.25}))
      << "overlap_slowdown, where nothing is measured";
}

TEST(HardwareProfileJson, RefusesOverlapsThatAreNone) {
  Json json = as_json(example_hardware());
  json["overlaps"][0]["operation"] = "all_gathr";
  EXPECT_NE(hardware_refusal(json).find("did you mean 'all_gather'"), std::string::npos)
      << hardware_refusal(json);
  json = as_json(example_hardware());
  json["overlaps"][1]["compute_slowdown"] = 0.5;
  EXPECT_NE(hardware_refusal(json).find("overlaps[1]"), std::string::npos);
  json = as_json(example_hardware());
  json["overlaps"][1]["links"] = "network";
  EXPECT_NE(hardware_refusal(json).find("inter_node"), std::string::npos);
}

TEST(HardwareProfileJson, RoundTrip) {
  const HardwareProfile before = example_hardware();
  const HardwareProfile after = hardware_profile_from_json(as_json(before), "hw.json");
  EXPECT_EQ(after.provenance, before.provenance);
  EXPECT_EQ(after.device, before.device);
  EXPECT_EQ(after.world_size, 8);
  EXPECT_EQ(after.ranks_per_node, 4);
  EXPECT_EQ(after.device_memory, gibibytes(16));
  EXPECT_EQ(after.memory_reserve, mebibytes(150));
  EXPECT_EQ(after.overlap_slowdown, 1.25);
  EXPECT_EQ(after.tp_overlap, 0.5);
  EXPECT_EQ(after.gather_overlap, 0.75);
  EXPECT_EQ(after.contention, before.contention);
  EXPECT_EQ(after.overlaps, before.overlaps);
  EXPECT_EQ(after.optimizer_ns_per_element, 1.5);
  EXPECT_EQ(after.other_optimizers_ns, before.other_optimizers_ns);
  EXPECT_EQ(after.links, before.links);
  ASSERT_EQ(after.tables.size(), 2u);
  EXPECT_EQ(after.tables[0].shape, (GroupShape{4, 2}));
  EXPECT_EQ(after.tables[0].curve.points(), before.tables[0].curve.points());
  EXPECT_EQ(after.tables[1].curve.line(), before.tables[1].curve.line());
  EXPECT_EQ(as_json(after), as_json(before));
}

TEST(HardwareProfileJson, KeysCarryUnits) {
  const Json json = as_json(example_hardware());
  EXPECT_EQ(json["format"], "galvatron-hardware-profile");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["memory_reserve_bytes"], 150 << 20);
  EXPECT_EQ(json["collectives"][0]["points"][0]["bytes"], 1024);
  EXPECT_EQ(json["collectives"][0]["points"][0]["ms"], 0.25);
  EXPECT_TRUE(json["collectives"][0].contains("latency_ms"));
  EXPECT_TRUE(json["collectives"][0].contains("bandwidth_bytes_per_ms"));
}

TEST(HardwareProfileJson, RefusesAnotherFormat) {
  Json json = as_json(example_hardware());
  json["format"] = "galvatron-plan";
  EXPECT_NE(hardware_refusal(json).find("galvatron-plan"), std::string::npos);
  json = as_json(example_hardware());
  json["version"] = 2;
  EXPECT_NE(hardware_refusal(json).find("version 2"), std::string::npos);
}

TEST(HardwareProfileJson, NamesTheBadEntry) {
  Json json = as_json(example_hardware());
  json["collectives"][1]["operation"] = "all_redcue";
  EXPECT_NE(hardware_refusal(json).find("collectives[1]"), std::string::npos)
      << hardware_refusal(json);
  EXPECT_NE(hardware_refusal(json).find("all_reduce"), std::string::npos) << hardware_refusal(json);
  json = as_json(example_hardware());
  json["collectives"][0]["points"][1]["ms"] = -1;
  EXPECT_NE(hardware_refusal(json).find("points[1]"), std::string::npos) << hardware_refusal(json);
  json = as_json(example_hardware());
  json["collectives"][0]["points"][0]["bytes"] = 0;
  EXPECT_NE(hardware_refusal(json).find("bytes"), std::string::npos) << hardware_refusal(json);
}

TEST(HardwareProfileJson, RefusesAbsurdValues) {
  const auto with = [](const char* key, const Json& value) {
    Json json = as_json(example_hardware());
    json[key] = value;
    return hardware_refusal(json);
  };
  EXPECT_NE(with("world_size", 0), "");
  EXPECT_NE(with("world_size", "eight"), "");
  EXPECT_NE(with("overlap_slowdown", 0.5), "");
  EXPECT_NE(with("memory_reserve_bytes", -1), "");
  EXPECT_NE(with("optimizer_ns_per_element", 1e300), "");
  EXPECT_NE(with("other_optimizers_ns_per_element", Json::object({{"sdg", 1}})).find("sgd"),
            std::string::npos);
  EXPECT_NE(with("collectives", 3), "");
  EXPECT_NE(with("device_memry_bytes", 3), "");  // unknown key
  EXPECT_NE(with("provenance", nullptr), "");
  EXPECT_NE(with("compute_contention",
                 Json::parse(R"([{"ranks":2,"slowdown":1},{"ranks":2,"slowdown":2}])")),
            "");
}

TEST(HardwareProfileJson, RefusesAShapeThatIsThereTwice) {
  Json json = as_json(example_hardware());
  json["collectives"].push_back(json["collectives"][0]);
  EXPECT_NE(hardware_refusal(json).find("twice"), std::string::npos) << hardware_refusal(json);
}

TEST(HardwareProfileJson, ATableNeedsPointsOrABandwidth) {
  Json json = as_json(example_hardware());
  json["collectives"][0].erase("points");
  json["collectives"][0].erase("bandwidth_bytes_per_ms");
  EXPECT_NE(hardware_refusal(json).find("neither"), std::string::npos) << hardware_refusal(json);
}

TEST(HardwareProfileJson, TimesThatCannotBeAreRefusedWithTheWayOut) {
  const auto refusal = [](double small, double large) {
    Json json = as_json(example_hardware());
    json["collectives"][0]["points"] = {{{"bytes", 1024}, {"ms", small}},
                                        {{"bytes", 1 << 20}, {"ms", large}}};
    return hardware_refusal(json);
  };
  EXPECT_EQ(refusal(0.5, 1), "");
  EXPECT_EQ(refusal(2, 1), "");  // noise
  EXPECT_NE(refusal(0, 1).find("collectives[0]: 0 ms for 1024 bytes"), std::string::npos);
  const std::string disturbed = refusal(50, 1);
  EXPECT_NE(disturbed.find("1024 bytes took 50 ms, and 1.04858e+06 only 1"), std::string::npos)
      << disturbed;
  EXPECT_NE(disturbed.find("or measure again"), std::string::npos);
}

TEST(HardwareProfileJson, CurvesOfOneSizeAreSaidOnce) {
  Json json = as_json(example_hardware());
  json["collectives"][0]["points"].erase(1);
  const HardwareProfile once = hardware_profile_from_json(json, "hw.json");
  ASSERT_EQ(once.extrapolated.size(), 1);
  EXPECT_NE(once.extrapolated[0].find("1 of 2 collectives: measured with one size"),
            std::string::npos);
  EXPECT_EQ(hardware_profile_from_json(as_json(once), "again").extrapolated, once.extrapolated);
}

}  // namespace
}  // namespace galvatron::profiles
