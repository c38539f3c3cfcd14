// The recorded questions of tests/data/galvatron2/cases as our values.
#pragma once
#include <algorithm>
#include <filesystem>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/galvatron2/search.h"

#include "test_paths.h"

namespace galvatron::galvatron2 {

inline std::filesystem::path test_data() {
  return testing_paths::source_dir() / "tests/data/galvatron2";
}

struct RecordedCase {
  explicit RecordedCase(const std::filesystem::path& path) : json(read_json_file(path)) {
    const Json& model = json["model"];
    const Json& settings = json["settings"];
    query.directory = test_data() / "cases" / std::string(json["profiles"]["dir"]);
    query.world_size = int(json["cluster"]["num_nodes"]) * int(json["cluster"]["gpus_per_node"]);
    query.seq_length = model["seq_length"];
    query.max_degree = std::max(int(settings["max_tp"]), int(settings["max_sp"]));
    profiles = read_profiles(query);
    job.world_size = query.world_size;
    job.num_layers = model["num_layers"];
    job.hidden_size = model["hidden_size"];
    job.seq_length = query.seq_length;
    memory = gibibytes(json["memory_gb"]);
  }
  Json json;
  ProfileQuery query;
  Profiles profiles;
  Job job;
  Bytes memory;
};

// As a question to our search.
inline SearchOptions question(const RecordedCase& recorded) {
  const Json& settings = recorded.json["settings"];
  SearchOptions options;
  options.job = recorded.job;
  options.memory = recorded.memory;
  options.global_batches = {recorded.json["global_batch"]};
  if (!settings["chunks"].is_null()) options.num_microbatches = settings["chunks"];
  options.max_tp = settings["max_tp"];
  options.max_pp = settings["max_pp"];
  options.max_ulysses = settings["max_sp"];
  return options;
}

inline std::vector<std::filesystem::path> case_files() {
  std::vector<std::filesystem::path> out;
  for (const auto& file : std::filesystem::directory_iterator(test_data() / "cases")) {
    if (file.path().extension() == ".json") out.push_back(file.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace galvatron::galvatron2
