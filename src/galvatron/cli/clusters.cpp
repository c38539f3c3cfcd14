// galvatron clusters: what is known of devices and clusters without measuring them.
#include <cstdio>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/profiles/cluster_overrides.h"
#include "galvatron/profiles/cluster_text.h"

namespace galvatron::cli {
namespace {

constexpr const char* kClustersExamples =
    "Examples:\n"
    "  galvatron clusters                                    all named devices and clusters\n"
    "  galvatron clusters 2x8xA100-40G:25GB/s                what this stands for\n"
    "  galvatron clusters 8xH100 --json > mine.json          a cluster file to edit, for --cluster";

struct ClustersCommand {
  std::string cluster;
  profiles::ClusterOverrides overrides;
  int world_size = 0;
  bool json = false;
};

int list_all(const ClustersCommand& command) {
  const std::vector<std::string> given = command.overrides.given();
  if (!given.empty() || command.world_size > 0) {
    throw ConfigError("[clusters] ", given.empty() ? "--world-size" : given.front(),
                      " changes a cluster; name one");
  }
  if (command.json) {
    std::printf("%s\n", profiles::all_clusters_to_json().dump(2).c_str());
    return 0;
  }
  std::printf(
      "Devices: dense TFLOP/s; GB/s of a device's memory, of its link inside a node, and of its "
      "share of the network between nodes, in one direction\n\n%s\n",
      profiles::devices_table().c_str());
  std::printf("Clusters; any other is written NODESxDEVICESxDEVICE:NETWORK\n\n%s",
              profiles::clusters_table().c_str());
  return 0;
}

int show_clusters(const ClustersCommand& command) {
  if (command.cluster.empty()) return list_all(command);
  const profiles::Cluster cluster = profiles::adapted(profiles::load_cluster(command.cluster),
                                                      command.overrides, command.world_size);
  const std::string text =
      command.json ? cluster_to_json(cluster).dump(2) + "\n" : to_text(cluster);
  std::printf("%s", text.c_str());
  return 0;
}

OptionList options_of(ClustersCommand& command) {
  OptionList list;
  list.group("Input");
  list.text("cluster", command.cluster,
            "Name, file, or NODESxDEVICESxDEVICE:NETWORK; default: all that are named")
      .positional();
  list.group("Output");
  list.flag("json", command.json, "As JSON: of one cluster, the file that --cluster takes");
  list.group("Cluster");
  list.count("world-size", command.world_size, {.min = 0}, "Devices; 0: as many as it has");
  list.append(profiles::cluster_override_options(command.overrides));
  return list;
}

}  // namespace

void add_clusters_command(CommandLine& line) {
  const auto command = std::make_shared<ClustersCommand>();
  CLI::App& app =
      line.add("clusters", kClustersExamples, [command] { return show_clusters(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
