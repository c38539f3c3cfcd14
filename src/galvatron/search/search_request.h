// A search as a user asks for it, on the command line or from Python: words and files made into the
// values that search_best_plan() takes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/profiles/cluster.h"
#include "galvatron/search/search.h"

namespace galvatron::search {

struct SearchRequest {
  std::int64_t seq_length = 0;  // tokens of a sample; 0: the profile's, else at most 1024
  std::string precision = "bf16";
  std::string optimizer = spec::default_optimizer().name;
  int world_size = 0;           // 0: all ranks of the hardware profile or cluster
  std::optional<Bytes> memory;  // of one device; unset: all it has
  std::optional<Bytes> memory_reserve;
  std::string global_batch;  // "64", "32,64" or "16:128:16" (first, last, step); empty: 8
  std::vector<std::string> allow, forbid;  // "tp_degree<=2", "recompute=full"
  std::string schedule;                    // empty: any
  std::optional<int> num_microbatches, max_tp, max_pp, max_ulysses;
  bool even_stages = false;
  int num_runners_up = 3;
};

// What is known about the machine: measured profiles, or a data sheet in the place of those that
// are not there.
struct MachineKnowledge {
  std::optional<profiles::HardwareProfile> hardware;
  std::optional<profiles::ModelProfile> profile;
  std::optional<profiles::Cluster> cluster;
};

// A request that can be searched.
struct PreparedSearch {
  spec::ModelSpec model;
  spec::JobSpec job;
  profiles::HardwareProfile hardware;
  profiles::ModelProfile profile;
  SearchOptions options;

  cost::CostInputs inputs() const { return {model, job, hardware, profile}; }
};

// ConfigError for what is missing or contradicts itself.
PreparedSearch prepare_search(const SearchRequest& request, spec::ModelSpec model,
                              MachineKnowledge knowledge);

// The numbers of "64", "32,64" or "16:128:16". ConfigError for anything else.
std::vector<std::int64_t> parse_batches(const std::string& text);

}  // namespace galvatron::search
