#include "galvatron/galvatron2/profiles.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/galvatron2/files.h"

namespace galvatron::galvatron2 {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> file_names(const fs::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) {
    throw ConfigError("[galvatron2 profile] cannot list the folder ", directory.string(), ": ",
                      error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// "1nodes_8gpus_per_node" of the machine that has `world_size` devices.
std::string machine_name(const ProfileQuery& query, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  std::vector<std::string> others;
  for (const std::string& name : names) {
    int nodes = 0, devices = 0;
    if (!read_key(name, "allreduce_bandwidth_", "nodes_", "gpus_per_node.json", nodes, devices)) {
      continue;
    }
    const std::string machine = fmt::format("{}nodes_{}gpus_per_node", nodes, devices);
    const bool fits = std::int64_t{nodes} * devices == query.world_size &&
                      (query.num_nodes == 0 || query.num_nodes == nodes);
    (fits ? found : others).push_back(machine);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    throw ConfigError("[galvatron2 profile] ", query.directory.string(), " holds profiles of ",
                      fmt::format("{}", fmt::join(found, " and ")), "; say which with --num-nodes");
  }
  throw ConfigError("[galvatron2 profile] ", query.directory.string(),
                    " has no allreduce_bandwidth_{N}nodes_{G}gpus_per_node.json of ",
                    query.world_size, " devices",
                    others.empty() ? "" : fmt::format(" (only of {})", fmt::join(others, ", ")));
}
GroupTimes read_group_times(const Json& json, const std::string& file,
                            const std::string& operation) {
  GroupTimes out{file, operation, {}};
  for (const auto& [key, value] : json.items()) {
    int degree = 0, mb = 0;
    if (!read_key(key, operation + "_size_", "_", "MB_time", degree, mb) || degree < 2) continue;
    out.by_degree[degree].ms_by_mb[mb] = positive(value, file, key);
  }
  for (auto& [degree, times] : out.by_degree) {
    if (times.ms_by_mb.size() < kPointsOfABatchFit) {
      fail_profile(file, fmt::format("{}_size_{}_*MB_time has {} sizes; a line needs at least {}",
                                     operation, degree, times.ms_by_mb.size(), kPointsOfABatchFit));
    }
    std::vector<FitPoint> points;
    for (const auto& [mb, ms] : times.ms_by_mb) points.push_back({double(mb), ms});
    const auto line = fit_polynomial(points, 1);
    if (line[1] <= 0) {
      fail_profile(file,
                   fmt::format("{}_size_{}_*MB_time falls as messages grow", operation, degree));
    }
    times.intercept = line[0];
    times.slope = line[1];
  }
  return out;
}

void read_machine(const ProfileQuery& query, const std::vector<std::string>& names, Profiles& out) {
  const std::string machine = machine_name(query, names);
  const auto path = [&](const std::string& prefix) {
    return query.directory / (prefix + "_" + machine + ".json");
  };
  const fs::path bandwidth = path("allreduce_bandwidth");
  const Json bandwidths = read_required(bandwidth);
  out.strided_bandwidth =
      read_degrees(bandwidths, bandwidth.string(), "allreduce_size_", "_consec_0");
  out.consecutive_bandwidth =
      read_degrees(bandwidths, bandwidth.string(), "allreduce_size_", "_consec_1");
  // All ranks at once are neither strided nor not: both read the consecutive entry.
  const auto whole = out.consecutive_bandwidth.values.find(query.world_size);
  if (whole != out.consecutive_bandwidth.values.end()) {
    out.strided_bandwidth.values[query.world_size] = whole->second;
  }
  const fs::path p2p = path("p2p_bandwidth");
  out.p2p_bandwidth = {p2p.string(), "pp_size_", "", {}};
  if (const auto json = read_if_there(p2p)) {
    out.p2p_bandwidth = read_degrees(*json, p2p.string(), "pp_size_", "");
  }
  const fs::path sp_time = path("sp_time");
  const Json times = read_if_there(sp_time).value_or(Json::object());
  out.all_reduce = read_group_times(times, sp_time.string(), "allreduce");
  out.all_to_all = read_group_times(times, sp_time.string(), "all2all");

  const fs::path overlap = query.directory / "overlap_coefficient.json";
  const Json coefficient = read_required(overlap);
  if (!coefficient.contains("overlap_coe"))
    fail_profile(overlap.string(), "key 'overlap_coe' is missing");
  out.overlap_slowdown =
      positive(coefficient["overlap_coe"], overlap.string(), "overlap_coe", /*least=*/1);
}
}  // namespace

TimeMode parse_time_mode(const std::string& text) {
  if (text == "static") return TimeMode::kStatic;
  if (text == "batch") return TimeMode::kBatch;
  if (text == "sequence") return TimeMode::kSequence;
  throw ConfigError("[time-profile-mode] '", text, "' is not one of static, batch, sequence",
                    did_you_mean(text, {"static", "batch", "sequence"}));
}

MemoryMode parse_memory_mode(const std::string& text) {
  if (text == "static") return MemoryMode::kStatic;
  if (text == "sequence") return MemoryMode::kSequence;
  throw ConfigError("[memory-profile-mode] '", text, "' is not one of static, sequence",
                    did_you_mean(text, {"static", "sequence"}));
}

double Table::at(int degree) const {
  const auto it = values.find(degree);
  if (it == values.end()) {
    fail_profile(file, fmt::format("key '{}{}{}' is missing", key_before, degree, key_after));
  }
  return it->second;
}

double MessageTimes::at(double mb) const {
  const double rounded = std::round(mb);
  if (rounded == mb && rounded <= kLargestDegree) {
    const auto it = ms_by_mb.find(static_cast<int>(rounded));
    if (it != ms_by_mb.end()) return it->second;
  }
  return slope * mb + intercept;
}

const MessageTimes& GroupTimes::at(int degree) const {
  const auto it = by_degree.find(degree);
  if (it == by_degree.end()) {
    fail_profile(file, fmt::format("keys '{}_size_{}_*MB_time' are missing{}", operation, degree,
                                   std::filesystem::exists(file) ? "" : ": there is no such file"));
  }
  return it->second;
}

Profiles read_profiles(const ProfileQuery& query) {
  const std::vector<std::string> names = file_names(query.directory);
  Profiles out;
  out.model = model_name(query, names);
  read_machine(query, names, out);
  read_computation(query, out);
  read_memory(query, out);
  return out;
}

}  // namespace galvatron::galvatron2
