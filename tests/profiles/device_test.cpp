#include "galvatron/profiles/device.h"

#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config_error.h"
#include "test_paths.h"

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

// docs/clusters.md shows the numbers of the files.
TEST(Device, TheDocumentHasARowOfEach) {
  std::ifstream file(testing_paths::source_dir() / "docs/clusters.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto peak = [](const Cluster& node, const char* precision) {
    const auto found = node.dense_tflops.find(precision);
    return found == node.dense_tflops.end() ? "-" : fmt::format("{:g}", found->second);
  };
  for (const Device& device : named_devices()) {
    const Cluster& node = device.node;
    const std::string row = fmt::format(
        "| `{}` | {} | {} | {} | {} | {} | {:g} | {:g} | {} | {:g} | {:g} |", device.name,
        node.spec.device, exact_text(node.spec.device_memory), peak(node, "bf16"),
        peak(node, "fp16"), peak(node, "fp32"), node.memory_gb_per_s, node.matmul_efficiency,
        node.spec.devices_per_node, node.network.intra_node.bandwidth_bytes_per_ms / 1e6,
        node.network.inter_node.bandwidth_bytes_per_ms / 1e6);
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
}

TEST(PeakFlops, ComeFromTheNameThatADriverReports) {
  const auto bf16 = [](const char* name) { return peak_flops(name, spec::Precision::kBf16); };
  EXPECT_EQ(bf16("NVIDIA H100 80GB HBM3"), 989e12);
  EXPECT_EQ(bf16("NVIDIA H100 PCIe"), 756e12);
  EXPECT_EQ(bf16("NVIDIA H200"), 989e12);
  EXPECT_EQ(peak_flops("NVIDIA A100-SXM4-40GB", spec::Precision::kFp32), 19.5e12);
  for (const char* unknown : {"a device that we do not know", "NVIDIA RTX A1000", "NVIDIA L40",
                              "cpu: Intel 4th generation", "cpu"}) {
    EXPECT_EQ(bf16(unknown), 0) << unknown;
  }
}

TEST(Device, NamesTheNearestOfOneThatNobodyKnows) {
  EXPECT_EQ(config_error_of([] { find_device("A1000"); }),
            "[cluster] the device 'A1000' is not known; the nearest are A100, A6000, A10 "
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

TEST(Device, IsTheSameByAnyOfItsNames) {
  EXPECT_TRUE(may_be_same_device("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB SXM"));
  EXPECT_TRUE(may_be_same_device("cpu", "cpu: Some Processor"));
  EXPECT_FALSE(may_be_same_device("cpu: Some Processor", "cpu: Another"));
  EXPECT_FALSE(may_be_same_device("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3"));
  EXPECT_FALSE(may_be_same_device("cpu", "NVIDIA H100 80GB HBM3"));
}

}  // namespace
}  // namespace galvatron::profiles
