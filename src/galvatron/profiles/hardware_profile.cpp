#include "galvatron/profiles/hardware_profile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

// Messages that follow each other in a ring.
double ring_steps(Collective collective, int size) {
  switch (collective) {
    case Collective::kAllReduce:
      return 2.0 * (size - 1);
    case Collective::kPointToPoint:
      return 1;
    default:
      return size - 1;
  }
}

// Gathers and scatters run in rings: message by message from rank to rank. A step inside a node and
// between nodes, as shares of a message's latency there, and the share of the bandwidth: NCCL's own
// model of two of its protocols (src/graph/tuning.cc, hwLat of rings: LL 0.6 and 2.7 us, Simple 3.4
// and 14 us) over the latencies that data sheets here have (8 and 15 us).
struct RingProtocol {
  double inside, between, bandwidth;
};
constexpr RingProtocol kRingProtocols[] = {{0.075, 0.18, 0.25}, {0.425, 0.93, 1}};

// `bandwidth`: of the slowest link. A ring leaves each of its nodes once.
double ring_time(const Link& inside, const Link& between, double bandwidth, int size, int num_nodes,
                 double traffic) {
  const double first = num_nodes > 1 ? between.latency_ms : inside.latency_ms;
  double best = std::numeric_limits<double>::infinity();
  for (const RingProtocol& protocol : kRingProtocols) {
    const double steps = (size - num_nodes) * protocol.inside * inside.latency_ms +
                         (num_nodes - 1) * protocol.between * between.latency_ms;
    best = std::min(best, steps + traffic / (bandwidth * protocol.bandwidth));
  }
  return first + best;
}

bool runs_in_rings(Collective collective) {
  return collective == Collective::kAllGather || collective == Collective::kReduceScatter;
}

// The rule for shapes without a table when there are links: see HardwareProfile::group_time.
double time_over_links(const HardwareProfile& profile, Collective collective, GroupShape shape,
                       double bytes) {
  // Both or none, by name: the question is asked a million times in a search.
  const Link& inter = profile.links.begin()->second;
  const Link& intra = profile.links.rbegin()->second;
  const double steps = tree_steps(collective, shape.size);
  const double traffic = bus_factor(collective, shape.size) * bytes;
  if (!profile.crosses_nodes(shape)) {
    if (runs_in_rings(collective)) {
      return ring_time(intra, inter, intra.bandwidth_bytes_per_ms, shape.size, 1, traffic);
    }
    return intra.latency_ms * steps + traffic / intra.bandwidth_bytes_per_ms;
  }
  const int members = std::clamp(profile.ranks_per_node / shape.stride, 1, shape.size);
  const double latency = inter.latency_ms * steps;
  if (collective == Collective::kPointToPoint) {
    return latency + traffic / inter.bandwidth_bytes_per_ms;
  }
  if (collective == Collective::kAllToAll) {
    const double share = bytes / shape.size;
    return latency + share * (shape.size - members) / inter.bandwidth_bytes_per_ms +
           share * (members - 1) / intra.bandwidth_bytes_per_ms;
  }
  const double bandwidth =
      std::min(intra.bandwidth_bytes_per_ms, members * inter.bandwidth_bytes_per_ms);
  if (runs_in_rings(collective)) {
    const int num_nodes = (shape.size + members - 1) / members;
    return ring_time(intra, inter, bandwidth, shape.size, num_nodes, traffic);
  }
  return latency + traffic / bandwidth;
}

double ratio_distance(int a, int b) {
  return std::abs(std::log(static_cast<double>(a) / static_cast<double>(b)));
}

const CollectiveTable* nearest_table(const HardwareProfile& profile, Collective collective,
                                     GroupShape shape) {
  const auto distance = [&](const CollectiveTable& table) {
    return std::tuple(profile.crosses_nodes(table.shape) != profile.crosses_nodes(shape),
                      ratio_distance(table.shape.size, shape.size),
                      ratio_distance(table.shape.stride, shape.stride));
  };
  const CollectiveTable* best = nullptr;
  for (const CollectiveTable& table : profile.tables) {
    if (table.collective != collective) continue;
    if (!best || distance(table) < distance(*best)) best = &table;
  }
  return best;
}

// `table` stands in for a group of another shape: as many ring steps, as much traffic per byte.
double scaled_time(const CollectiveTable& table, int size, double bytes) {
  const double steps =
      ring_steps(table.collective, size) / ring_steps(table.collective, table.shape.size);
  const double traffic =
      bus_factor(table.collective, size) / bus_factor(table.collective, table.shape.size);
  const double latency = std::min(table.curve.line().intercept, table.curve.at(bytes));
  return latency * steps + (table.curve.at(bytes) - latency) * traffic;
}

}  // namespace

std::string to_text(Collective collective) {
  return collective_names()[static_cast<std::size_t>(collective)];
}

const std::vector<std::string>& collective_names() {
  static const std::vector<std::string> names = {"all_reduce", "all_gather", "reduce_scatter",
                                                 "all_to_all", "p2p"};
  return names;
}

double bus_factor(Collective collective, int group_size) {
  if (collective == Collective::kPointToPoint) return 1;
  const double share = (group_size - 1.0) / group_size;
  return collective == Collective::kAllReduce ? 2 * share : share;
}

double tree_steps(Collective collective, int group_size) {
  if (collective == Collective::kPointToPoint) return 1;
  const double depth = std::bit_width(static_cast<unsigned>(group_size) - 1);  // ceil(log2 n)
  return collective == Collective::kAllReduce ? 2 * depth : depth;
}

bool HardwareProfile::crosses_nodes(GroupShape shape) const {
  return static_cast<std::int64_t>(shape.size - 1) * shape.stride >= ranks_per_node;
}

Milliseconds HardwareProfile::group_time(Collective collective, GroupShape shape,
                                         Bytes bytes) const {
  if (shape.size <= 1 || bytes.value <= 0) return {};
  const auto size = static_cast<double>(bytes.value);
  for (const CollectiveTable& table : tables) {
    if (table.collective == collective && table.shape == shape) return {table.curve.at(size)};
  }
  if (!links.empty()) return {time_over_links(*this, collective, shape, size)};
  const CollectiveTable* table = nearest_table(*this, collective, shape);
  if (!table) {
    throw ConfigError("[profile] the hardware profile has no ", to_text(collective),
                      " measurement, needed for groups of ", shape.size,
                      " ranks; run `galvatron profile-hardware` again");
  }
  return {scaled_time(*table, shape.size, size)};
}

double Overlap::together_ms(double compute_ms, double communication_ms) const {
  const double its = communication * communication_ms, mine = compute * compute_ms;
  if (its <= mine) return compute_ms + its * (1 - 1 / compute);
  return communication_ms + mine * (1 - 1 / communication);
}

Overlap HardwareProfile::overlap(Collective collective, GroupShape shape) const {
  const bool crosses = crosses_nodes(shape);
  Overlap found = {overlap_slowdown, overlap_slowdown};
  for (const MeasuredOverlap& one : overlaps) {
    if (one.collective != collective) continue;
    if (one.crosses_nodes == crosses) return one.overlap;
    found = one.overlap;
  }
  return found;
}

double HardwareProfile::optimizer_ns(const spec::OptimizerSpec& optimizer) const {
  const auto measured = other_optimizers_ns.find(optimizer.name);
  if (measured != other_optimizers_ns.end()) return measured->second;
  return optimizer_ns_per_element * optimizer.relative_time();
}

std::vector<std::string> overlap_texts(double tp_overlap, double gather_overlap) {
  std::vector<std::string> out;
  const auto add = [&](double share, const char* what, const char* option) {
    if (share == 0) return;
    out.push_back(fmt::format("{:g} % of {}, as in Megatron-Core; this runtime waits ({} 0)",
                              100 * share, what, option));
  };
  add(tp_overlap, "tensor parallelism's collectives hide behind products", "--tp-overlap");
  add(gather_overlap, "the gathers of ZeRO-1 and 2 hide behind the next forward",
      "--gather-overlap");
  return out;
}

}  // namespace galvatron::profiles
