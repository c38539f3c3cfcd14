#include "galvatron/profiles/device.h"

#include <set>

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::profiles {
namespace {

TEST(Device, EveryNamedOneSaysWhatItIs) {
  const std::vector<Device> devices = named_devices();
  EXPECT_GE(devices.size(), 17u);
  std::set<std::string> names;
  for (const Device& device : devices) {
    const Cluster& node = device.node;
    for (const std::string& name : device.aliases) {
      EXPECT_TRUE(names.insert(name).second) << name << " means two devices";
    }
    EXPECT_TRUE(names.insert(device.name).second) << device.name << " means two devices";
    EXPECT_GT(node.sources.device.size(), 20u) << device.name;
    EXPECT_FALSE(node.sources.intra_node.empty()) << device.name;
    EXPECT_FALSE(node.sources.inter_node.empty()) << device.name;
    EXPECT_EQ(node.spec.num_nodes, 1) << device.name;
    EXPECT_LT(node.network.memory_reserve, node.spec.device_memory) << device.name;
    EXPECT_GE(node.network.intra_node.bandwidth_bytes_per_ms,
              node.network.inter_node.bandwidth_bytes_per_ms)
        << device.name;
    // Half precision runs on matrix units, fp32 (which is not TF32) does not.
    const double fast = node.dense_tflops.at("fp16");
    if (node.dense_tflops.contains("fp32")) {
      EXPECT_GE(fast, 1.9 * node.dense_tflops.at("fp32")) << device.name;
    }
  }
}

TEST(Device, IsFoundByEveryWayToWriteIt) {
  for (const char* name : {"RTX4090", "rtx-4090", "RTX 4090", "4090", "GeForce RTX 4090"}) {
    EXPECT_EQ(find_device(name).name, "RTX4090") << name;
  }
  EXPECT_EQ(find_device("A100-80GB").name, "A100");
  EXPECT_EQ(find_device("a100_40g").name, "A100-40G");
  EXPECT_EQ(find_device("H100-SXM").name, "H100");
  EXPECT_EQ(find_device("910b").name, "Ascend910B");
  EXPECT_FALSE(knows_device("A1000"));
  EXPECT_FALSE(knows_device("../clusters/8xH100"));
}

TEST(Device, NamesTheNearestOfOneThatNobodyKnows) {
  EXPECT_EQ(config_error_of([] { find_device("A1000"); }),
            "[cluster] the device 'A1000' is not known; the nearest are A100, A10, A6000 "
            "(`galvatron clusters` lists all; a cluster file describes any other)");
}

TEST(Device, NamesTheKeyThatAFileLacks) {
  const auto path = spec::configs_directory() / "devices" / "A100.json";
  Json json = read_json_file(path);
  json.erase("devices_per_node");
  const std::string message = config_error_of([&] { device_from_json(json, "mine.json"); });
  EXPECT_NE(message.find("mine.json: key 'devices_per_node' is missing"), std::string::npos)
      << message;
  json = read_json_file(path);
  json["aliases"] = {3};
  EXPECT_EQ(config_error_of([&] { device_from_json(json, "mine.json"); }),
            "[cluster] mine.json: aliases are strings");
}

}  // namespace
}  // namespace galvatron::profiles
