#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/profiles/format.h"
#include "galvatron/profiles/hardware_profile.h"

namespace galvatron::profiles {
namespace {

constexpr const char* kHardwareFormat = "galvatron-hardware-profile";
constexpr double kMaxSlowdown = 1e6;

// "intra_node" and "inter_node".
const std::vector<std::string>& link_names() {
  static const std::vector<std::string> names = {"intra_node", "inter_node"};
  return names;
}

Collective read_operation(JsonReader& reader) {
  const std::string name = reader.get_string("operation");
  const auto& names = collective_names();
  const auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) {
    throw ConfigError("[profile] ", reader.source(), ": operation '", name, "' is unknown",
                      did_you_mean(name, names));
  }
  return static_cast<Collective>(it - names.begin());
}

Link read_link(JsonReader reader) {
  Link link;
  link.latency_ms = reader.get_number("latency_ms", 0, kMaxMilliseconds);
  link.bandwidth_bytes_per_ms = reader.get_number("bandwidth_bytes_per_ms", 1e-6, 1e18);
  reader.finish();
  return link;
}

std::map<std::string, Link> read_links(JsonReader& profile) {
  if (!profile.has("links")) return profile.ignore("links"), std::map<std::string, Link>{};
  JsonReader reader = profile.get_object("links");
  std::map<std::string, Link> links;
  for (const std::string& name : link_names()) {
    links[name] = read_link(reader.get_object(name));
  }
  reader.finish();
  return links;
}

std::vector<std::string> read_extrapolated(JsonReader& profile) {
  std::vector<std::string> out;
  if (!profile.has("extrapolated")) return profile.ignore("extrapolated"), out;
  for (const Json& text : get_list(profile, "extrapolated")) {
    if (!text.is_string()) {
      throw ConfigError("[profile] ", profile.source(), ": 'extrapolated' holds texts, not ",
                        text.dump());
    }
    out.push_back(text);
  }
  return out;
}

std::vector<MeasuredOverlap> read_overlaps(JsonReader& profile) {
  std::vector<MeasuredOverlap> out;
  if (!profile.has("overlaps")) return profile.ignore("overlaps"), out;
  const Json& list = get_list(profile, "overlaps");
  for (std::size_t i = 0; i < list.size(); ++i) {
    JsonReader reader(list[i], entry_source(profile, "overlaps", i));
    MeasuredOverlap one;
    one.collective = read_operation(reader);
    one.crosses_nodes = reader.get_choice_or("links", "intra_node", link_names()) == "inter_node";
    one.overlap.compute = reader.get_number("compute_slowdown", 1, kMaxSlowdown);
    one.overlap.communication = reader.get_number("communication_slowdown", 1, kMaxSlowdown);
    reader.finish();
    out.push_back(one);
  }
  return out;
}

std::map<std::string, double> read_optimizers(JsonReader& profile) {
  constexpr const char* kKey = "other_optimizers_ns_per_element";
  std::map<std::string, double> out;
  if (!profile.has(kKey)) return profile.ignore(kKey), out;
  JsonReader reader = profile.get_object(kKey);
  for (const std::string& name : spec::optimizer_names()) {
    if (reader.has(name)) {
      out[name] = reader.get_number(name, 0, 1e9);
    } else {
      reader.ignore(name);
    }
  }
  reader.finish();
  return out;
}

std::vector<CurvePoint> read_points(JsonReader& table) {
  std::vector<CurvePoint> points;
  if (!table.has("points")) return table.ignore("points"), points;
  const Json& list = get_list(table, "points");
  for (std::size_t i = 0; i < list.size(); ++i) {
    JsonReader reader(list[i], entry_source(table, "points", i));
    CurvePoint point;
    point.x = static_cast<double>(reader.get_int("bytes", 1, kMaxBytes));
    point.y = reader.get_number("ms", 0, kMaxMilliseconds);
    reader.finish();
    points.push_back(point);
  }
  return points;
}

CollectiveTable read_table(JsonReader reader) {
  CollectiveTable table;
  table.collective = read_operation(reader);
  table.shape.size = static_cast<int>(reader.get_int("group_size", 2, kMaxRanks));
  table.shape.stride = static_cast<int>(reader.get_int_or("stride", 1, 1, kMaxRanks));
  std::vector<CurvePoint> points = read_points(reader);
  const double latency = reader.get_number_or("latency_ms", 0, 0, kMaxMilliseconds);
  const double bandwidth = reader.get_number_or("bandwidth_bytes_per_ms", 0, 0, 1e18);
  if (points.empty() && bandwidth <= 0) {
    throw ConfigError("[profile] ", reader.source(),
                      " has neither points nor bandwidth_bytes_per_ms; give one of them");
  }
  require_plausible_times(points, reader.source(), "bytes");
  table.curve = points.empty() ? Curve(Line{latency, 1 / bandwidth}) : Curve(std::move(points));
  reader.finish();
  return table;
}

std::vector<CollectiveTable> read_tables(JsonReader& profile) {
  std::vector<CollectiveTable> tables;
  const Json& list = get_list(profile, "collectives");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string source = entry_source(profile, "collectives", i);
    CollectiveTable table = read_table(JsonReader(list[i], source));
    for (const CollectiveTable& other : tables) {
      if (other.collective == table.collective && other.shape == table.shape) {
        throw ConfigError("[profile] ", source, ": ", to_text(table.collective), " on ",
                          table.shape.size, " ranks with stride ", table.shape.stride,
                          " is there twice");
      }
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

// Said of a file that does not say it yet.
void note_single_sizes(HardwareProfile& profile) {
  int alone = 0;
  for (const CollectiveTable& table : profile.tables) alone += table.curve.points().size() == 1;
  if (alone == 0) return;
  const std::string note = detail::concat(
      alone, " of ", profile.tables.size(),
      " collectives: measured with one size, what others take is guessed; measure again with more "
      "--seconds");
  auto& said = profile.extrapolated;
  if (std::find(said.begin(), said.end(), note) == said.end()) said.push_back(note);
}

OrderedJson link_to_json(const Link& link) {
  return {{"latency_ms", link.latency_ms}, {"bandwidth_bytes_per_ms", link.bandwidth_bytes_per_ms}};
}

OrderedJson table_to_json(const CollectiveTable& table) {
  const Line& line = table.curve.line();
  OrderedJson out = {{"operation", to_text(table.collective)},
                     {"group_size", table.shape.size},
                     {"stride", table.shape.stride},
                     {"latency_ms", line.intercept}};
  if (line.slope > 0) out["bandwidth_bytes_per_ms"] = 1 / line.slope;
  if (table.curve.points().empty()) return out;
  OrderedJson& points = out["points"] = OrderedJson::array();
  for (const CurvePoint& point : table.curve.points()) {
    points.push_back({{"bytes", static_cast<std::int64_t>(point.x)}, {"ms", point.y}});
  }
  return out;
}

}  // namespace

HardwareProfile hardware_profile_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  require_format(reader, kHardwareFormat);
  HardwareProfile out;
  out.provenance = read_provenance(reader);
  out.extrapolated = read_extrapolated(reader);
  out.device = reader.get_string("device");
  out.world_size = static_cast<int>(reader.get_int("world_size", 1, kMaxRanks));
  out.ranks_per_node = static_cast<int>(reader.get_int("ranks_per_node", 1, kMaxRanks));
  out.device_memory = Bytes{reader.get_int_or("device_memory_bytes", 0, 0, kMaxBytes)};
  out.memory_reserve = Bytes{reader.get_int_or("memory_reserve_bytes", 0, 0, kMaxBytes)};
  out.overlap_slowdown = reader.get_number_or("overlap_slowdown", 1, 1, kMaxSlowdown);
  out.tp_overlap = reader.get_number_or("tp_overlap", 0, 0, 1);
  out.gather_overlap = reader.get_number_or("gather_overlap", 0, 0, 1);
  out.overlaps = read_overlaps(reader);
  out.contention = read_contention(reader, "compute_contention");
  out.optimizer_ns_per_element = reader.get_number_or("optimizer_ns_per_element", 0, 0, 1e9);
  out.other_optimizers_ns = read_optimizers(reader);
  out.links = read_links(reader);
  out.tables = read_tables(reader);
  reader.finish();
  note_single_sizes(out);
  return out;
}

HardwareProfile read_hardware_profile(const std::filesystem::path& path) {
  return hardware_profile_from_json(read_json_file(path), path.string());
}

OrderedJson hardware_profile_to_json(const HardwareProfile& profile) {
  OrderedJson tables = OrderedJson::array();
  for (const CollectiveTable& table : profile.tables) tables.push_back(table_to_json(table));
  OrderedJson out = {{"format", kHardwareFormat},
                     {"version", 1},
                     {"provenance", provenance_to_json(profile.provenance)},
                     {"device", profile.device},
                     {"world_size", profile.world_size},
                     {"ranks_per_node", profile.ranks_per_node},
                     {"device_memory_bytes", profile.device_memory.value},
                     {"memory_reserve_bytes", profile.memory_reserve.value},
                     {"overlap_slowdown", profile.overlap_slowdown},
                     {"compute_contention", contention_to_json(profile.contention)},
                     {"optimizer_ns_per_element", profile.optimizer_ns_per_element}};
  for (const MeasuredOverlap& one : profile.overlaps) {
    out["overlaps"].push_back({{"operation", to_text(one.collective)},
                               {"links", link_names()[one.crosses_nodes ? 1 : 0]},
                               {"compute_slowdown", one.overlap.compute},
                               {"communication_slowdown", one.overlap.communication}});
  }
  if (profile.tp_overlap > 0) out["tp_overlap"] = profile.tp_overlap;
  if (profile.gather_overlap > 0) out["gather_overlap"] = profile.gather_overlap;
  if (!profile.extrapolated.empty()) out["extrapolated"] = profile.extrapolated;
  for (const auto& [name, ns] : profile.other_optimizers_ns)
    out["other_optimizers_ns_per_element"][name] = ns;
  for (const auto& [name, link] : profile.links) out["links"][name] = link_to_json(link);
  out["collectives"] = tables;
  return out;
}

void write_hardware_profile(const std::filesystem::path& path, const HardwareProfile& profile) {
  write_json_file(path, hardware_profile_to_json(profile));
}

}  // namespace galvatron::profiles
