#include "galvatron/profiles/cluster.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "test_paths.h"

namespace galvatron::profiles {
namespace {

TEST(Cluster, EveryNamedOneLoads) {
  const std::vector<std::string> names = cluster_names();
  EXPECT_GE(names.size(), 10u);
  for (const std::string& name : names) {
    const Cluster cluster = load_cluster(name);
    EXPECT_EQ(cluster.spec.name, name);
    EXPECT_GT(cluster.provenance().size(), 40u) << name;
    EXPECT_EQ(cluster.spec.world_size(), std::stoi(name)) << name;
    EXPECT_LT(cluster.network.memory_reserve, cluster.spec.device_memory) << name;
    EXPECT_GE(cluster.network.intra_node.bandwidth_bytes_per_ms,
              cluster.network.inter_node.bandwidth_bytes_per_ms)
        << name;
    EXPECT_GT(cluster.device(spec::Precision::kFp16).flops_per_ms, 0) << name;
  }
}

// The files as they were when each held all of its numbers.
TEST(Cluster, NamedOnesKeepEveryNumberOverTheDeviceTable) {
  const Json before =
      read_json_file(testing_paths::source_dir() / "tests/golden/profiles/clusters.json");
  EXPECT_EQ(before.size(), cluster_names().size());
  for (const auto& [name, file] : before.items()) {
    const Json now = Json::parse(cluster_to_json(load_cluster(name)).dump());
    EXPECT_EQ(now, file) << name;
  }
}

TEST(Cluster, IsReadBackFromItsFullFile) {
  const Cluster cluster = load_cluster("64xA100-100Gb");
  const OrderedJson json = cluster_to_json(cluster);
  const Cluster back = cluster_from_json(Json::parse(json.dump()), "full.json");
  EXPECT_EQ(cluster_to_json(back), json);
  EXPECT_EQ(back.provenance(), cluster.provenance());
}

TEST(Cluster, AFileMayNameItsDeviceAndSayOnlyWhatDiffers) {
  const Json json = {{"format", "galvatron-cluster"},
                     {"version", 1},
                     {"name", "ours"},
                     {"device", "h100"},
                     {"num_nodes", 4},
                     {"devices_per_node", 4},
                     {"memory_reserve", "3GiB"},
                     {"intra_node", {{"latency_us", 5}, {"gb_per_s", 300}}}};
  const Cluster cluster = cluster_from_json(json, "ours.json");
  EXPECT_EQ(cluster.spec.name, "ours");
  EXPECT_EQ(cluster.spec.world_size(), 16);
  EXPECT_EQ(cluster.spec.device, "NVIDIA H100 80GB SXM");
  EXPECT_EQ(cluster.network.memory_reserve, gibibytes(3));
  EXPECT_EQ(cluster.network.intra_node, (Link{0.005, 300e6}));
  EXPECT_EQ(cluster.network.inter_node, (Link{0.015, 45e6}));
  EXPECT_NE(cluster.provenance().find("intra_node as in the file"), std::string::npos)
      << cluster.provenance();
  Json wrong = json;
  wrong["device"] = "H1000";
  EXPECT_NE(
      config_error_of([&] { cluster_from_json(wrong, "ours.json"); }).find("the nearest are H100"),
      std::string::npos);
}

TEST(Cluster, ResizesByWholeNodes) {
  const Cluster cluster = load_cluster("64xA100");
  EXPECT_EQ(cluster.resized(16).spec.num_nodes, 2);
  EXPECT_EQ(cluster.resized(128).spec.world_size(), 128);
  EXPECT_EQ(cluster.resized(4).spec.devices_per_node, 4);
  EXPECT_NE(config_error_of([&] { cluster.resized(12); }).find("12 devices"), std::string::npos);
  EXPECT_NE(config_error_of([&] { cluster.resized(0); }).find("at least 1"), std::string::npos);
}

TEST(Cluster, HintsAtTheNearestName) {
  const std::string message = config_error_of([] { load_cluster("x64xA100"); });
  EXPECT_NE(message.find("did you mean '64xA100'?"), std::string::npos) << message;
  EXPECT_NE(config_error_of([] { load_cluster("./nowhere.json"); }).find("nowhere.json"),
            std::string::npos);
}

TEST(Cluster, NamesTheKeyOfAnAbsurdNumber) {
  const Json good = Json::parse(cluster_to_json(load_cluster("8xA100")).dump());
  const auto message = [&](const char* pointer, const Json& value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    return config_error_of([&] { cluster_from_json(json, "mine.json"); });
  };
  EXPECT_EQ(message("/num_nodes", 2), "");
  const std::pair<const char*, const char*> keys[] = {
      {"/num_nodes", "num_nodes"},
      {"/device/matmul_efficiency", "matmul_efficiency"},
      {"/device/dense_tflops/bf16", "bf16"},
      {"/intra_node/gb_per_s", "gb_per_s"},
      {"/overlap_slowdown", "overlap_slowdown"},
      {"/device/memory", "memory"}};
  for (const auto& [pointer, key] : keys) {
    for (const Json& value : {Json(-1), Json(1e300), Json("much"), Json(nullptr), Json::array()}) {
      const std::string said = message(pointer, value);
      EXPECT_NE(said.find("mine.json"), std::string::npos) << pointer << ": " << said;
      EXPECT_NE(said.find(key), std::string::npos) << pointer << ": " << said;
    }
  }
  EXPECT_NE(message("/format", "galvatron-plan").find("galvatron-cluster"), std::string::npos);
  EXPECT_NE(message("/nodes", 3).find("nodes"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::profiles
