#include "galvatron/comm/node_place.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/address.h"
#include "galvatron/comm/environment_variable.h"
#include "galvatron/comm/launch.h"

namespace galvatron::comm {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// PET_NNODES; "1:4" is of an elastic job, whose machines come and go.
std::optional<int> pods() {
  const auto text = variable_text("PET_NNODES");
  if (!text) return std::nullopt;
  if (!is_number(*text)) {
    throw ConfigError("[launch] PET_NNODES='", *text,
                      "' is no fixed number of machines: give --nnodes, or start by torchrun");
  }
  return variable_number("PET_NNODES", 1, kMaxRanks);
}

// PET_NPROC_PER_NODE; words ("auto", "gpu") leave it to --nproc.
std::optional<int> ranks_per_pod() {
  const auto text = variable_text("PET_NPROC_PER_NODE");
  if (!text || !is_number(*text)) return std::nullopt;
  return variable_number("PET_NPROC_PER_NODE", 1, kMaxRanks);
}

struct Machine {
  const char* name;
  std::optional<int> number;
};

void refuse_several_tasks(int nnodes) {
  const auto tasks = variable_number("SLURM_STEP_NUM_TASKS", 1, kMaxRanks);
  if (!tasks || *tasks == nnodes) return;
  throw ConfigError("[launch] --nnodes ", nnodes, ", but srun has started ", *tasks,
                    " tasks: start one on each node (--ntasks-per-node=1), or leave --nnodes and "
                    "--nproc away to make each task a rank");
}

// The first that is there.
Machine machine_of(const NodeRequest& request, int nnodes) {
  if (request.node_rank) return {"--node-rank", request.node_rank};
  for (const char* name : {"PET_NODE_RANK", "RANK"}) {
    if (const auto number = variable_number(name, 0, kMaxRanks)) return {name, number};
  }
  if (variable_text("SLURM_STEP_ID")) {
    refuse_several_tasks(nnodes);
    return {"SLURM_PROCID", variable_number("SLURM_PROCID", 0, kMaxRanks)};
  }
  return {"JOB_COMPLETION_INDEX", variable_number("JOB_COMPLETION_INDEX", 0, kMaxRanks)};
}

std::string address_of_first(const NodeRequest& request) {
  if (!request.master_addr.empty()) return read_host(request.master_addr, "--master-addr");
  for (const char* name : {"PET_MASTER_ADDR", "MASTER_ADDR"}) {
    if (const auto host = variable_text(name)) return read_host(*host, name);
  }
  if (const auto host = slurm_first_host()) return *host;
  throw ConfigError(
      "[launch] --nnodes needs the address of machine 0: give --master-addr or MASTER_ADDR");
}

int port_of_first(const NodeRequest& request) {
  if (request.master_port != 0) return request.master_port;
  for (const char* name : {"PET_MASTER_PORT", "MASTER_PORT"}) {
    if (const auto port = variable_number(name, 1, kMaxPort)) return *port;
  }
  return variable_text("SLURM_JOB_ID") ? slurm_port() : kNodesPort;
}

void refuse_two_counts(const std::optional<int>& given, const std::optional<int>& pods,
                       const char* option, const char* variable) {
  if (!given || !pods || *given == *pods) return;
  throw ConfigError("[launch] ", option, " ", *given, ", but ", variable, "=", *pods,
                    ": leave one of them away");
}

}  // namespace

std::optional<NodePlace> read_node_place(const NodeRequest& request) {
  if (is_own_rank()) return std::nullopt;
  const bool is_rank = variable_text("LOCAL_RANK").has_value();
  if (is_rank && request.nnodes) {
    throw ConfigError("[launch] --nnodes ", *request.nnodes,
                      ", but LOCAL_RANK=", *variable_text("LOCAL_RANK"),
                      " says that another launcher has started the ranks: leave --nnodes away");
  }
  if (is_rank || (!request.nnodes && !variable_text("PET_NNODES"))) return std::nullopt;
  NodePlace place;
  const auto of_pod = request.nnodes ? std::nullopt : pods();
  place.nnodes = request.nnodes ? *request.nnodes : *of_pod;
  refuse_two_counts(request.nproc, ranks_per_pod(), "--nproc", "PET_NPROC_PER_NODE");
  place.nproc = request.nproc.value_or(ranks_per_pod().value_or(1));
  if (place.nnodes == 1) return place;
  const Machine machine = machine_of(request, place.nnodes);
  if (!machine.number) {
    throw ConfigError("[launch] --nnodes ", place.nnodes,
                      " needs --node-rank: which of the machines this is, from 0");
  }
  if (*machine.number >= place.nnodes) {
    throw ConfigError("[launch] ", machine.name, "=", *machine.number, " is not below --nnodes ",
                      place.nnodes);
  }
  place.node_rank = *machine.number;
  place.master_addr = address_of_first(request);
  place.master_port = port_of_first(request);
  return place;
}

}  // namespace galvatron::comm
