// A model on a data-sheet cluster.
#pragma once
#include <algorithm>
#include <string>

#include "galvatron/profiles/analytic.h"
#include "galvatron/search/search.h"

namespace galvatron::search {

struct PlanningExample {
  spec::ModelSpec model;
  spec::JobSpec job;
  profiles::HardwareProfile hardware;
  profiles::ModelProfile profile;

  PlanningExample(spec::ModelSpec of, int world_size, std::int64_t global_batch,
                  std::int64_t seq_length, int ranks_per_node = 8)
      : model(std::move(of)) {
    job = {seq_length, global_batch, spec::Precision::kBf16};
    spec::ClusterSpec cluster;
    cluster.devices_per_node = std::min(world_size, ranks_per_node);
    cluster.num_nodes = world_size / cluster.devices_per_node;
    const profiles::DeviceSpec device{"a100", 312e9, 0.5, 1.5e9, 0.02, {}};
    const profiles::NetworkSpec network{{0.01, 250e6}, {0.02, 20e6}, 1.1, 0, 0, gibibytes(1)};
    hardware = profiles::analytic_hardware_profile(cluster, device, network);
    profile = profiles::analytic_model_profile(model, seq_length, job.precision, device);
  }
  PlanningExample(const std::string& preset, int world_size, std::int64_t global_batch,
                  std::int64_t seq_length, int ranks_per_node = 8)
      : PlanningExample(spec::load_model(preset), world_size, global_batch, seq_length,
                        ranks_per_node) {}

  cost::CostInputs inputs() const { return {model, job, hardware, profile}; }
  SearchResult search(const SearchOptions& options) const {
    return search_best_plan(inputs(), options);
  }
};

}  // namespace galvatron::search
