// The recorded search questions of tests/data/galvatron2/cases as our values.
#pragma once
#include <algorithm>
#include <filesystem>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/search/galvatron2_search.h"

namespace galvatron::search {

inline std::filesystem::path galvatron2_data() {
  return std::filesystem::path(GALVATRON_SOURCE_DIR) / "tests/data/galvatron2";
}

struct Galvatron2Case {
  explicit Galvatron2Case(const std::filesystem::path& path) : json(read_json_file(path)) {
    const Json& model = json["model"];
    const Json& settings = json["settings"];
    profiles::Galvatron2ProfileQuery query;
    query.directory = galvatron2_data() / "cases" / std::string(json["profiles"]["dir"]);
    query.world_size = int(json["cluster"]["num_nodes"]) * int(json["cluster"]["gpus_per_node"]);
    query.seq_length = model["seq_length"];
    options.job.world_size = query.world_size;
    options.job.num_layers = model["num_layers"];
    options.job.hidden_size = model["hidden_size"];
    options.job.seq_length = query.seq_length;
    options.memory = gibibytes(json["memory_gb"]);
    options.global_batches = {json["global_batch"]};
    if (!settings["chunks"].is_null()) options.num_microbatches = settings["chunks"];
    options.max_tp = settings["max_tp"];
    options.max_pp = settings["max_pp"];
    options.max_ulysses = settings["max_sp"];
    query.max_degree = std::max(options.max_tp, options.max_ulysses);
    profiles = read_galvatron2_profiles(query);
  }
  Json json;
  profiles::Galvatron2Profiles profiles;
  Galvatron2SearchOptions options;
};

inline std::vector<std::filesystem::path> galvatron2_case_files() {
  std::vector<std::filesystem::path> out;
  for (const auto& file : std::filesystem::directory_iterator(galvatron2_data() / "cases")) {
    if (file.path().extension() == ".json") out.push_back(file.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace galvatron::search
