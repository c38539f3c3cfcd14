// What a cluster's ranks can do together: times of collectives over sizes and group shapes, how
// much overlapping and sharing a machine slows them, memory. Measured by profiler/, or made from a
// data sheet (analytic.h). No torch.
#pragma once
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/profiles/contention.h"
#include "galvatron/profiles/curve.h"
#include "galvatron/profiles/provenance.h"
#include "galvatron/spec/optimizer_spec.h"

namespace galvatron::profiles {

// `bytes` of an operation, everywhere in our code:
//   all_reduce      the tensor, as each rank holds it
//   all_gather      the gathered output
//   reduce_scatter  the whole input of one rank
//   all_to_all      what one rank holds before the exchange (its own part included)
//   p2p             the message
enum class Collective { kAllReduce, kAllGather, kReduceScatter, kAllToAll, kPointToPoint };

std::string to_text(
    Collective collective);  // "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "p2p"
const std::vector<std::string>& collective_names();

// Ranks first, first + stride, ... (size of them). TP groups have stride 1, data-parallel groups of
// a layer with tp_degree t stride t, neighbours in the pipeline size 2 and stride ranks_per_stage.
struct GroupShape {
  int size = 1;
  int stride = 1;
  auto operator<=>(const GroupShape&) const = default;
};

// The share of `bytes` that crosses the slowest link once: 2 (n-1)/n, (n-1)/n, 1 (nccl-tests' bus
// factor).
double bus_factor(Collective collective, int group_size);

// Messages that follow each other in a tree; what data sheets' latencies are for.
double tree_steps(Collective collective, int group_size);

// One measured shape. Measured with every group of that shape in the world at work at once, as in
// training.
struct CollectiveTable {
  Collective collective = Collective::kAllReduce;
  GroupShape shape;
  Curve curve;  // bytes -> ms; line().intercept is the latency, 1 / line().slope the bandwidth in
                // bytes per ms
};

// A link from a data sheet; used for shapes that were not measured, when there are links at all.
struct Link {
  double latency_ms = 0;  // of one message
  // Of one rank in one direction while every rank of the node sends: a node's network bandwidth
  // over its ranks.
  double bandwidth_bytes_per_ms = 0;
  bool operator==(const Link&) const = default;
};

// Compute and a collective beside each other: how many times longer each takes while both run. 1
// and 1 is free overlap; o and o makes equal work of both o times as long, 2 as if one came after
// the other.
struct Overlap {
  double compute = 1, communication = 1;
  // Until both are done. With C, X of them alone and c, x of these two:
  //   C + x X (1 - 1/c)   where the communication ends first, x X <= c C
  //   X + c C (1 - 1/x)   where the compute does
  double together_ms(double compute_ms, double communication_ms) const;
  bool operator==(const Overlap&) const = default;
};

struct MeasuredOverlap {
  Collective collective = Collective::kAllReduce;
  bool crosses_nodes = false;
  Overlap overlap;
  bool operator==(const MeasuredOverlap&) const = default;
};

struct HardwareProfile {
  Provenance provenance;
  std::string device = "cpu";  // "NVIDIA H200", "cpu: Intel Xeon ..."
  int world_size = 1;          // ranks that took part
  int ranks_per_node = 1;
  Bytes device_memory;  // 0: unknown
  // What a rank has in use before any model state: context, communicators, code, allocator slack.
  Bytes memory_reserve;
  // Compute beside a collective that is not among `overlaps`: both take this many times longer.
  double overlap_slowdown = 1;
  std::vector<MeasuredOverlap> overlaps;
  // Shares of what this runtime waits for that run beside compute in other systems: of the
  // collectives inside a tensor-parallel block, piece by piece beside its products, and of the
  // gathers of parameters behind the optimizer (ZeRO-1 and 2), beside the next forward.
  double tp_overlap = 0, gather_overlap = 0;
  Contention contention;                // of work like a block's
  double optimizer_ns_per_element = 0;  // spec::default_optimizer() in fp32, one rank alone
  std::map<std::string, double> other_optimizers_ns;  // the same of others, where measured
  std::vector<CollectiveTable> tables;
  // "intra_node", "inter_node"; both or none. See group_time().
  std::map<std::string, Link> links;
  // What is not measured though the rest is, or goes beyond the data sheet: a sentence each.
  std::vector<std::string> extrapolated;

  int ranks_on_node() const { return std::min(world_size, ranks_per_node); }
  int num_nodes() const { return (world_size + ranks_on_node() - 1) / ranks_on_node(); }

  // Time of one collective. 0 for a group of one or no bytes.
  //   measured shape: its curve
  //   else, with links, g members of the group on a node, n in all:
  //     latency * tree steps (ceil(log2 n); all_reduce twice, p2p once) + bus_factor * bytes /
  //     bandwidth; all_gather and reduce_scatter run in rings: latency + (n - 1) steps, shorter
  //     inside nodes, of the faster of two protocols. bandwidth: intra_node inside a node; across,
  //     a ring leaves each node once and may use the network share of its g members:
  //     min(intra_node, g * inter_node). all_to_all across: the (n - g) / n that leave the node
  //     over inter_node, then (g - 1) / n over intra_node.
  //   else: the nearest measured shape of the same collective (same side of the node border first,
  //   then nearest size,
  //        then nearest stride), its latency scaled by the number of ring steps and the rest by the
  //        bus factor.
  // ConfigError when the collective was never measured and there are no links.
  Milliseconds group_time(Collective collective, GroupShape shape, Bytes bytes) const;

  // Of compute beside a collective of this shape: as measured on links of that kind, else on the
  // others.
  Overlap overlap(Collective collective, GroupShape shape) const;

  // Slow-down of compute with `ranks` local ranks computing at once.
  double compute_slowdown(double ranks) const { return slowdown_of(contention, ranks); }

  // Time of a step's end for each element that a rank owns: as measured, or the default optimizer's
  // in proportion to what they read and write.
  double optimizer_ns(const spec::OptimizerSpec& optimizer) const;

  // Does a group of this shape, starting at a multiple of its span, cross nodes?
  bool crosses_nodes(GroupShape shape) const;
};

// What is assumed to hide behind compute though this runtime waits for it: a sentence each, with
// the way out.
std::vector<std::string> overlap_texts(double tp_overlap, double gather_overlap);

// JSON: {"format": "galvatron-hardware-profile", "version": 1, "provenance": {...}, "extrapolated":
// [...], "device": ..., "world_size": ..., "ranks_per_node", "device_memory_bytes",
// "memory_reserve_bytes", "overlap_slowdown", "overlaps": [{"operation", "links": "intra_node" or
// "inter_node", "compute_slowdown", "communication_slowdown"}], "tp_overlap", "gather_overlap" (0
// where left out), "compute_contention": [{"ranks", "slowdown"}], "optimizer_ns_per_element",
// "other_optimizers_ns_per_element": {"sgd": ...}, "links":
// {"intra_node": {"latency_ms", "bandwidth_bytes_per_ms"}, ...}, "collectives":
// [{"operation", "group_size", "stride", "latency_ms", "bandwidth_bytes_per_ms", "points":
// [{"bytes", "ms"}]}]}. latency and bandwidth are for readers: fitted again from the points, used
// only where there are none. ConfigError names the file and the key.
HardwareProfile read_hardware_profile(const std::filesystem::path& path);
HardwareProfile hardware_profile_from_json(const Json& json, const std::string& source);
OrderedJson hardware_profile_to_json(const HardwareProfile& profile);
void write_hardware_profile(const std::filesystem::path& path, const HardwareProfile& profile);

}  // namespace galvatron::profiles
