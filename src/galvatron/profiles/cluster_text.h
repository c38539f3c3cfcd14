// Clusters and devices for a terminal.
#pragma once
#include <string>

#include "galvatron/profiles/device.h"

namespace galvatron::profiles {

// Every number with its unit, and where it comes from.
std::string to_text(const Cluster& cluster);

// {"devices": {name: ...}, "clusters": {name: ...}}: all that are named, as cluster_to_json().
OrderedJson all_clusters_to_json();

// Tables of all that are named, one line each.
std::string devices_table();
std::string clusters_table();

}  // namespace galvatron::profiles
