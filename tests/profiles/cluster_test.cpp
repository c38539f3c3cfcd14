#include "galvatron/profiles/cluster.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::profiles {
namespace {

TEST(Cluster, EveryNamedOneLoads) {
  const std::vector<std::string> names = cluster_names();
  EXPECT_GE(names.size(), 10u);
  for (const std::string& name : names) {
    const Cluster cluster = load_cluster(name);
    EXPECT_EQ(cluster.spec.name, name);
    EXPECT_GT(cluster.provenance.size(), 40u) << name;
    EXPECT_EQ(cluster.spec.world_size(), std::stoi(name)) << name;
    EXPECT_LT(cluster.network.memory_reserve, cluster.spec.device_memory) << name;
    EXPECT_GE(cluster.network.intra_node.bandwidth_bytes_per_ms,
              cluster.network.inter_node.bandwidth_bytes_per_ms)
        << name;
    EXPECT_GT(cluster.device(spec::Precision::kFp16).flops_per_ms, 0) << name;
  }
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
  const std::string message = config_error_of([] { load_cluster("64xA10"); });
  EXPECT_NE(message.find("did you mean '64xA100'?"), std::string::npos) << message;
  EXPECT_NE(config_error_of([] { load_cluster("./nowhere.json"); }).find("nowhere.json"),
            std::string::npos);
}

TEST(Cluster, NamesTheKeyOfAnAbsurdNumber) {
  const Json good = read_json_file(spec::configs_directory() / "clusters" / "8xA100.json");
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
