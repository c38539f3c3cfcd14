// The recorded questions of tests/data/galvatron2/cases as our values.
#pragma once
#include <algorithm>
#include <filesystem>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/cost/galvatron2_cost.h"

namespace galvatron::cost {

inline std::filesystem::path galvatron2_data() {
  return std::filesystem::path(GALVATRON_SOURCE_DIR) / "tests/data/galvatron2";
}

struct Galvatron2Case {
  explicit Galvatron2Case(const std::filesystem::path& path) : json(read_json_file(path)) {
    const Json& model = json["model"];
    const Json& settings = json["settings"];
    query.directory = galvatron2_data() / "cases" / std::string(json["profiles"]["dir"]);
    query.world_size = int(json["cluster"]["num_nodes"]) * int(json["cluster"]["gpus_per_node"]);
    query.seq_length = model["seq_length"];
    query.max_degree = std::max(int(settings["max_tp"]), int(settings["max_sp"]));
    profiles = read_galvatron2_profiles(query);
    job.world_size = query.world_size;
    job.num_layers = model["num_layers"];
    job.hidden_size = model["hidden_size"];
    job.seq_length = query.seq_length;
    memory = gibibytes(json["memory_gb"]);
  }
  Json json;
  profiles::Galvatron2ProfileQuery query;
  profiles::Galvatron2Profiles profiles;
  Galvatron2Job job;
  Bytes memory;
};

inline std::vector<std::filesystem::path> galvatron2_case_files() {
  std::vector<std::filesystem::path> out;
  for (const auto& file : std::filesystem::directory_iterator(galvatron2_data() / "cases")) {
    if (file.path().extension() == ".json") out.push_back(file.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace galvatron::cost
