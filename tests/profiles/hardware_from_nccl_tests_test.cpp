#include "galvatron/profiles/hardware_from_nccl_tests.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "nccl_output.h"

namespace galvatron::profiles {
namespace {

HardwareProfile profile_of(const std::vector<NcclOutput>& outputs,
                           const NcclTestsOptions& options = {}) {
  std::vector<NcclTestRun> runs;
  for (const NcclOutput& output : outputs) {
    for (NcclTestRun& run : nccl_tests_from_text(output.text(), output.operation + "_perf.txt")) {
      runs.push_back(std::move(run));
    }
  }
  return hardware_from_nccl_tests(runs, options);
}

std::string error_of(const std::vector<NcclOutput>& outputs, const NcclTestsOptions& options = {}) {
  return config_error_of([&] { profile_of(outputs, options); });
}

bool says(const HardwareProfile& profile, const std::string& words) {
  return std::any_of(
      profile.extrapolated.begin(), profile.extrapolated.end(),
      [&](const std::string& text) { return text.find(words) != std::string::npos; });
}

// Of printed times, which have six digits.
void expect_curve(const HardwareProfile& profile, Collective collective, GroupShape shape,
                  const NcclOutput& output) {
  for (const std::int64_t size : output.sizes) {
    const double ms = output.time(static_cast<double>(size)) / 1000;
    EXPECT_NEAR(profile.group_time(collective, shape, Bytes{size}).value, ms, 1e-5 * ms)
        << to_text(collective) << " " << size;
  }
  // Between and beyond: the times are on a line.
  for (const double bytes : {1.0 * (1 << 20), 3.0 * (1 << 28), 2.0 * (1 << 30)}) {
    const double ms = output.time(bytes) / 1000;
    EXPECT_NEAR(profile.group_time(collective, shape, whole_bytes(bytes)).value, ms, 1e-4 * ms);
  }
}

NcclOutput output_of(const std::string& operation, int nodes, double latency_us,
                     double bytes_per_us) {
  NcclOutput out;
  out.operation = operation;
  out.nodes = nodes;
  out.time = [=](double bytes) { return latency_us + bytes / bytes_per_us; };
  return out;
}

TEST(HardwareFromNcclTests, AProfileOfAKnownCurveIsThatCurve) {
  double latency = 7, rate = 1e5;
  std::vector<NcclOutput> outputs;
  for (const char* operation :
       {"all_reduce", "all_gather", "reduce_scatter", "alltoall", "sendrecv"}) {
    outputs.push_back(output_of(operation, 1, latency *= 1.3, rate *= 0.9));
    outputs.push_back(output_of(operation, 2, 3 * latency, rate / 4));
  }
  const HardwareProfile profile = profile_of(outputs);
  EXPECT_EQ(profile.world_size, 16);
  EXPECT_EQ(profile.ranks_per_node, 8);
  EXPECT_EQ(profile.device, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(profile.device_memory, gibibytes(79));
  EXPECT_EQ(profile.tables.size(), 10);
  EXPECT_TRUE(profile.contention.empty());
  for (int i = 0; i < 5; ++i) {
    const auto collective = static_cast<Collective>(i);
    const bool is_pair = collective == Collective::kPointToPoint;
    const auto& inside = outputs[static_cast<std::size_t>(2 * i)];
    const auto& across = outputs[static_cast<std::size_t>(2 * i) + 1];
    expect_curve(profile, collective, is_pair ? GroupShape{2, 1} : GroupShape{8, 1}, inside);
    expect_curve(profile, collective, is_pair ? GroupShape{2, 8} : GroupShape{16, 1}, across);
  }
  EXPECT_TRUE(says(profile, "from the data sheet of H100"));
  EXPECT_TRUE(says(profile, "p2p of 2 ranks (stride 8): measured with 1 of the 8 devices"));
  // As a file.
  const HardwareProfile again =
      hardware_profile_from_json(Json::parse(hardware_profile_to_json(profile).dump()), "again");
  EXPECT_EQ(again.group_time(Collective::kAllReduce, {16, 1}, mebibytes(7)),
            profile.group_time(Collective::kAllReduce, {16, 1}, mebibytes(7)));
}

// 3 us a step and 200 GB/s inside, 10 us and 20 GB/s of each device's share across.
double linked_time(int ranks, int members, double bytes) {
  const double steps = tree_steps(Collective::kAllReduce, ranks);
  const double rate = members < ranks ? std::min(200e3, members * 20e3) : 200e3;  // bytes a us
  return steps * (members < ranks ? 10 : 3) +
         bus_factor(Collective::kAllReduce, ranks) * bytes / rate;
}

TEST(HardwareFromNcclTests, LinksAreThoseThatTheCurvesWereMadeOf) {
  NcclOutput inside, across;
  inside.time = [](double bytes) { return linked_time(8, 8, bytes); };
  across.nodes = 2;
  across.time = [](double bytes) { return linked_time(16, 8, bytes); };
  const HardwareProfile profile = profile_of({inside, across});
  ASSERT_EQ(profile.links.size(), 2);
  EXPECT_NEAR(profile.links.at("intra_node").latency_ms, 0.003, 1e-6);
  EXPECT_NEAR(profile.links.at("intra_node").bandwidth_bytes_per_ms, 200e6, 200e3);
  EXPECT_NEAR(profile.links.at("inter_node").latency_ms, 0.010, 1e-5);
  EXPECT_NEAR(profile.links.at("inter_node").bandwidth_bytes_per_ms, 20e6, 20e3);
  // A data-parallel group of one rank a node has its own share alone.
  const double ms = profile.group_time(Collective::kAllReduce, {2, 8}, gibibytes(1)).value;
  EXPECT_NEAR(ms, linked_time(2, 1, 1 << 30) / 1000, 1e-3 * ms);
  EXPECT_TRUE(says(profile,
                   "all_gather, reduce_scatter, all_to_all, p2p: not measured, from the "
                   "links that all_reduce measured"));
}

TEST(HardwareFromNcclTests, OneNodeHasCurvesOfAllAndSaysNothingOfANetwork) {
  const HardwareProfile profile = profile_of({NcclOutput{}});
  EXPECT_TRUE(profile.links.empty());
  EXPECT_EQ(profile.tables.size(), 5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_GT(profile.group_time(static_cast<Collective>(i), {4, 2}, mebibytes(16)).value, 0);
  }
  EXPECT_TRUE(says(profile, "scaled from those measured"));
}

TEST(HardwareFromNcclTests, GroupsAndPartsOfNodesAreStrided) {
  NcclOutput split;  // every eighth of 16 ranks: eight pairs across the nodes at once
  split.nodes = 2;
  split.groups = 8;
  const HardwareProfile groups = profile_of({NcclOutput{}, split});
  expect_curve(groups, Collective::kAllReduce, {2, 8}, split);
  EXPECT_FALSE(says(groups, "devices of a node at work"));
  NcclOutput part;  // two of eight devices of each node
  part.nodes = 2;
  part.per_node = 2;
  const HardwareProfile parts = profile_of({NcclOutput{}, part});
  expect_curve(parts, Collective::kAllReduce, {4, 4}, part);
  EXPECT_TRUE(says(parts, "all_reduce of 4 ranks (stride 4): measured with 2 of the 8 devices"));
}

TEST(HardwareFromNcclTests, RanksThatAreNotListedAreToldByTheNumbers) {
  for (const char* operation : {"all_reduce", "all_gather", "alltoall"}) {
    NcclOutput output;
    output.operation = operation;
    output.nodes = 4;
    std::string text = output.text();
    const std::size_t begin = text.find("# Using devices");
    text.erase(begin, text.find("#                  ") - begin);
    const auto runs = nccl_tests_from_text(text, "out.txt");
    NcclTestsOptions options{"H100", 8};
    const HardwareProfile profile = hardware_from_nccl_tests(runs, options);
    EXPECT_EQ(profile.world_size, 32) << operation;
    options.devices_per_node = 0;
    EXPECT_NE(config_error_of([&] {
                hardware_from_nccl_tests(runs, options);
              }).find("say --devices-per-node"),
              std::string::npos);
  }
}

TEST(HardwareFromNcclTests, WhatTookLongerThanALargerMessageIsLeftOutAndSaid) {
  NcclOutput output;
  const auto time = output.time;
  output.time = [=](double bytes) { return bytes == 1 << 18 ? 5000 : time(bytes); };
  const HardwareProfile profile = profile_of({output});
  EXPECT_TRUE(says(
      profile, "all_reduce of 8 ranks: 256 KiB took longer than a larger message and is left out"));
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {8, 1}, kibibytes(256)).value,
              time(1 << 18) / 1000, 1e-4);
  output.time = [=](double bytes) { return bytes < 1 << 26 ? 90000 : time(bytes); };
  EXPECT_NE(error_of({output}).find("4 of 6 sizes took longer than a larger one"),
            std::string::npos);
}

TEST(HardwareFromNcclTests, OneSizeHasTheDataSheetsLatency) {
  NcclOutput output;
  output.sizes = {std::int64_t{1} << 33};
  const HardwareProfile profile = profile_of({output});
  EXPECT_GT(profile.group_time(Collective::kAllReduce, {8, 1}, Bytes{1}).value, 0.001);
  const double ms = output.time(8.0 * (1 << 30)) / 1000;
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {8, 1}, gibibytes(8)).value, ms,
              1e-4 * ms);
  EXPECT_TRUE(says(profile, "one size was measured (8.00 GiB)"));
}

TEST(HardwareFromNcclTests, WhatDoesNotBelongTogetherIsNamed) {
  const auto has = [&](const std::vector<NcclOutput>& outputs, const std::string& words,
                       const NcclTestsOptions& options = {}) {
    const std::string error = error_of(outputs, options);
    EXPECT_NE(error.find(words), std::string::npos) << words << "\n" << error;
  };
  NcclOutput slow;
  slow.time = [](double bytes) { return 60 + bytes / 3e4; };
  has({NcclOutput{}, slow}, "contradict each other");
  NcclOutput other;
  other.device = "NVIDIA A100-SXM4-80GB";
  has({NcclOutput{}, other}, "a profile is of one kind of device");
  NcclOutput unknown;
  unknown.device = "NVIDIA Graphics Device";
  has({unknown}, "'NVIDIA Graphics Device' is not known: say --data-sheet DEVICE");
  EXPECT_EQ(profile_of({unknown}, {"B200", 0}).device_memory, gibibytes(178));
  has({unknown}, "the device 'B2000' is not known", {"B2000", 0});
  NcclOutput alone;
  alone.per_node = 1;
  has({alone}, "one rank alone");
  NcclOutput broadcast;
  broadcast.operation = "broadcast";
  has({broadcast}, "of broadcast alone no profile can be made");
  EXPECT_TRUE(says(profile_of({NcclOutput{}, broadcast}), "broadcast: no part of a training step"));
  has({NcclOutput{}}, "have no place on nodes of 4", {"", 4});
  NcclOutput three;
  three.nodes = 2;
  three.per_node = 3;
  has({NcclOutput{}, three}, "6 ranks, 3 on a node, have no place on nodes of 8");
}

TEST(HardwareFromNcclTests, ListsOfRanksThatCannotBeAreNamed) {
  NcclOutput output;
  output.nodes = 2;
  const std::string text = output.text();
  const auto has = [&](const std::string& what, const std::string& with, const std::string& words) {
    std::string changed = text;
    changed.replace(changed.find(what), what.size(), with);
    const std::string error = config_error_of(
        [&] { hardware_from_nccl_tests(nccl_tests_from_text(changed, "out.txt"), {}); });
    EXPECT_NE(error.find(words), std::string::npos) << words << "\n" << error;
  };
  const std::size_t line = text.find("#  Rank  5");
  has(text.substr(line, text.find('\n', line) + 1 - line), "", "lists 15 of 16 ranks");
  has("Rank  5", "Rank  4", "built without MPI");
  has("Pid   4009 on      node1", "Pid   4009 on      node2", "ranks on one host and");
  has("Group  0 Pid   4003", "Group  1 Pid   4003", "groups are not all of one size");
  has("device  5 [0000:1b:00] NVIDIA H100", "device  5 [0000:1b:00] NVIDIA H200",
      "measure devices of one kind");
  has("all_reduce_perf\n", "all_gather_perf\n", "of another operation or of other ranks");
}

}  // namespace
}  // namespace galvatron::profiles
