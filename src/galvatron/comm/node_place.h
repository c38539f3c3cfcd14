// One of several machines, on each of which our own launcher starts ranks: named by the user, or by
// Kubernetes, whose operators start one process in each pod.
#pragma once
#include <optional>
#include <string>

namespace galvatron::comm {

// What the user gave; the environment fills the rest.
struct NodeRequest {
  std::optional<int> nproc = {}, nnodes = {}, node_rank = {};
  std::string master_addr = {};  // "": not given
  int master_port = 0;           // 0: not given
};

// Every machine runs as many ranks; those of machine 0 are the first.
struct NodePlace {
  int nproc = 1;
  int nnodes = 1;
  int node_rank = 0;
  std::string master_addr = "127.0.0.1";  // of machine 0, whose launcher serves the store
  int master_port = 0;
};
inline constexpr int kNodesPort = 29500;

// nullopt where neither --nnodes nor PET_NNODES (of PyTorchJob and TrainJob) says that there are
// several, and in a rank. Machine: --node-rank, PET_NODE_RANK, RANK, SLURM_PROCID,
// JOB_COMPLETION_INDEX. ConfigError where one is missing or contradicts another.
std::optional<NodePlace> read_node_place(const NodeRequest& request);

// Of this step or job; nullopt outside of Slurm.
std::optional<std::string> slurm_first_host();
int slurm_port();

}  // namespace galvatron::comm
