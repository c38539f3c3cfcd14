#include "galvatron/profiles/nccl_test_layout.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

[[noreturn]] void fail_layout(const NcclTestRun& run, const std::string& problem) {
  throw ConfigError("[nccl-tests] ", run.source, ": ", problem);
}

void check_ranks(const NcclTestRun& run) {
  std::vector<int> ranks;
  for (const NcclTestRank& rank : run.ranks) {
    ranks.push_back(rank.rank);
    if (rank.device != run.ranks.front().device) {
      fail_layout(run, "'" + run.ranks.front().device + "' and '" + rank.device +
                           "' in one run; measure devices of one kind");
    }
  }
  std::sort(ranks.begin(), ranks.end());
  if (std::adjacent_find(ranks.begin(), ranks.end()) != ranks.end()) {
    fail_layout(run,
                "several processes call themselves rank " +
                    std::to_string(*std::adjacent_find(ranks.begin(), ranks.end())) +
                    ": nccl-tests was built without MPI, and each of them measured itself alone; "
                    "build it with MPI=1");
  }
  if (ranks.back() + 1 != static_cast<int>(ranks.size())) {
    fail_layout(run, "lists " + std::to_string(ranks.size()) + " of " +
                         std::to_string(ranks.back() + 1) + " ranks; give the whole output");
  }
}

// The run's ranks, node by node: the index of each one's node, and its group.
struct PlacedRank {
  int node = 0;
  int group = 0;
};

std::vector<PlacedRank> placed_ranks(const NcclTestRun& run) {
  std::vector<NcclTestRank> ranks = run.ranks;
  std::sort(ranks.begin(), ranks.end(),
            [](const NcclTestRank& a, const NcclTestRank& b) { return a.rank < b.rank; });
  std::vector<std::string> hosts;
  std::vector<PlacedRank> placed;
  for (const NcclTestRank& rank : ranks) {
    const auto at = std::find(hosts.begin(), hosts.end(), rank.host);
    placed.push_back({static_cast<int>(at - hosts.begin()), rank.group});
    if (at == hosts.end()) hosts.push_back(rank.host);
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const PlacedRank& a, const PlacedRank& b) { return a.node < b.node; });
  return placed;
}

int ranks_of_each_node(const NcclTestRun& run, const std::vector<PlacedRank>& ranks) {
  std::map<int, int> counts;
  for (const PlacedRank& rank : ranks) ++counts[rank.node];
  for (const auto& [node, count] : counts) {
    if (count != counts.begin()->second) {
      fail_layout(run, std::to_string(counts.begin()->second) + " ranks on one host and " +
                           std::to_string(count) + " on another; measure nodes with as many each");
    }
  }
  return counts.begin()->second;
}

GroupShape shape_of_groups(const NcclTestRun& run, const std::vector<PlacedRank>& ranks) {
  std::map<int, std::vector<int>> members;
  for (int i = 0; i < static_cast<int>(ranks.size()); ++i) {
    members[ranks[static_cast<std::size_t>(i)].group].push_back(i);
  }
  const std::vector<int>& first = members.begin()->second;
  GroupShape shape{static_cast<int>(first.size()), first.size() > 1 ? first[1] - first[0] : 1};
  for (const auto& [group, ids] : members) {
    bool is_alike = static_cast<int>(ids.size()) == shape.size;
    for (std::size_t i = 1; i < ids.size(); ++i) {
      is_alike = is_alike && ids[i] - ids[i - 1] == shape.stride;
    }
    if (!is_alike) {
      fail_layout(run,
                  "its groups are not all of one size and stride; split the ranks with "
                  "NCCL_TESTS_SPLIT=\"MOD n\" or \"DIV n\"");
    }
  }
  return shape;
}

// Of the row that says it best: bus bandwidth over algorithm bandwidth, and how far off it may be
// by the two decimals of both. {0, 0}: too small.
std::pair<double, double> bus_factor_of(const NcclTestRun& run) {
  const NcclTestResult* best = &run.rows.front().out_of_place;
  for (const NcclTestRow& row : run.rows) {
    if (row.out_of_place.algorithm_bandwidth > best->algorithm_bandwidth) best = &row.out_of_place;
  }
  constexpr double kRounding = 0.005, kTelling = 1;
  if (best->algorithm_bandwidth < kTelling) return {0, 0};
  return {best->bus_bandwidth / best->algorithm_bandwidth,
          3 * kRounding / best->algorithm_bandwidth};
}

int bytes_of_type(const std::string& type) {
  if (type == "double" || type == "int64" || type == "uint64") return 8;
  if (type == "half" || type == "bfloat16") return 2;
  if (type == "int8" || type == "uint8" || type.starts_with("fp8") || type.starts_with("f8")) {
    return 1;
  }
  return type == "float" || type == "int32" || type == "uint32" ? 4 : 0;
}

// Where no rank is listed: by the elements of one rank, or by the bandwidths.
int ranks_by_numbers(const NcclTestRun& run, Collective collective) {
  const NcclTestRow& row = run.rows.back();
  const std::int64_t bytes_of_rank = row.count * bytes_of_type(row.type);
  if (bytes_of_rank > 0 && row.size.value % bytes_of_rank == 0 && row.size.value > bytes_of_rank) {
    return static_cast<int>(row.size.value / bytes_of_rank);
  }
  const auto [factor, uncertainty] = bus_factor_of(run);
  const double share = collective == Collective::kAllReduce ? factor / 2 : factor;  // (n - 1) / n
  const double ranks = share < 1 ? std::round(1 / (1 - share)) : 0;
  const double error = ranks * ranks * uncertainty;
  if (collective == Collective::kPointToPoint || factor <= 0 || ranks < 2 || error > 0.4) {
    fail_layout(run,
                "does not list its ranks (\"# Rank 0 ... on HOST device 0\"), and its numbers do "
                "not tell how many there were; give the whole output");
  }
  return static_cast<int>(ranks);
}

void check_bus_factor(const NcclTestRun& run, Collective collective, int ranks) {
  const auto [factor, uncertainty] = bus_factor_of(run);
  if (factor <= 0) return;
  constexpr double kTolerance = 0.004;
  const bool counts_parts =
      collective == Collective::kAllGather || collective == Collective::kReduceScatter;
  const double expected = bus_factor(collective, ranks);
  const bool is_near = std::abs(factor - expected) <= uncertainty + kTolerance;
  if (is_near || (counts_parts && std::abs(factor - 1) <= uncertainty + kTolerance)) return;
  throw ConfigError("[nccl-tests] ", run.source, ": said to be ", run.operation, " of ", ranks,
                    " ranks, whose bus bandwidth is ", expected,
                    " of the algorithm's, and here it is ", factor,
                    "; the file is of another operation or of other ranks");
}

}  // namespace

std::optional<Collective> collective_of(const std::string& operation) {
  if (operation == "all_reduce") return Collective::kAllReduce;
  if (operation == "all_gather") return Collective::kAllGather;
  if (operation == "reduce_scatter") return Collective::kReduceScatter;
  if (operation == "alltoall") return Collective::kAllToAll;
  if (operation == "sendrecv") return Collective::kPointToPoint;
  return std::nullopt;
}

NcclTestLayout nccl_test_layout(const NcclTestRun& run) {
  const Collective collective = collective_of(run.operation).value();
  NcclTestLayout out;
  if (run.ranks.empty()) {
    out.num_ranks = ranks_by_numbers(run, collective);
    out.group = {out.num_ranks, 1};
  } else {
    check_ranks(run);
    const std::vector<PlacedRank> ranks = placed_ranks(run);
    out.num_ranks = static_cast<int>(ranks.size());
    out.ranks_per_node = ranks_of_each_node(run, ranks);
    out.group = shape_of_groups(run, ranks);
    out.num_groups = out.num_ranks / out.group.size;
    out.host = run.ranks.front().host;
    out.device = run.ranks.front().device;
  }
  if (out.group.size < 2) {
    fail_layout(run,
                "one rank alone, which exchanges nothing; run it on several (-g 8, or mpirun)");
  }
  check_bus_factor(run, collective, out.group.size);
  return out;
}

}  // namespace galvatron::profiles
