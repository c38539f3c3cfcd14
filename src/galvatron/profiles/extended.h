// A measured machine made larger than it was when it was measured: its tables inside a node, links
// of a data sheet across nodes.
#pragma once
#include <optional>

#include "galvatron/profiles/cluster.h"
#include "galvatron/profiles/cluster_overrides.h"

namespace galvatron::profiles {

// `measured` for the ranks of `cluster`, or without one for `world_size` ranks (0: those measured).
//   no more ranks than were measured: its own tables
//   more of them on a node: the link that its largest groups measured
//   more nodes: links of the cluster (or of overrides.inter_node) for what was not measured; where
//   the network was measured and no other is known, group_time()'s scaled tables
// Everything that was not measured is named in `extrapolated`. device_memory and overlap_slowdown
// of the overrides win over measured ones.
// REQUIRES: cluster is adapted() to world_size and the overrides.
// ConfigError for more ranks than anything is known about, a cluster whose nodes are not those that
// were measured, and overrides that belong to a data sheet where there is none: with the way out.
HardwareProfile extended(HardwareProfile measured, int world_size,
                         const std::optional<Cluster>& cluster, const ClusterOverrides& overrides);

}  // namespace galvatron::profiles
