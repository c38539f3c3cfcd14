#include "galvatron/profiles/galvatron2_profiles.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::profiles {
namespace {

namespace fs = std::filesystem;

constexpr double kLargest = 1e12;  // ms, MB or MB/ms: anything beyond is a broken file
constexpr int kLargestDegree = 1 << 20;
constexpr std::size_t kPointsOfABatchFit = 8;

[[noreturn]] void fail(const std::string& file, const std::string& problem) {
  throw ConfigError("[galvatron2 profile] ", file, ": ", problem);
}

double positive(const Json& value, const std::string& file, const std::string& key,
                double least = 1e-12) {
  if (!value.is_number()) {
    fail(file, "key '" + key + "' must be a number, not " + value.dump().substr(0, 80));
  }
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < least || number > kLargest) {
    fail(file, fmt::format("key '{}' is {}, outside {} .. {}", key, value.dump(), least, kLargest));
  }
  return number;
}

// Reads an integer at `text`; nullptr when there is none. Returns what follows it.
const char* read_number(const char* text, int& out) {
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  if (end == text || *text < '0' || *text > '9' || number > 1 << 28) return nullptr;
  out = static_cast<int>(number);
  return end;
}

// `key` is before + integer + after.
bool read_key(const std::string& key, const std::string& before, const std::string& after,
              int& number) {
  if (key.rfind(before, 0) != 0) return false;
  const char* rest = read_number(key.c_str() + before.size(), number);
  return rest && after == rest;
}

// `key` is before + integer + middle + integer + after.
bool read_key(const std::string& key, const std::string& before, const std::string& middle,
              const std::string& after, int& first, int& second) {
  if (key.rfind(before, 0) != 0) return false;
  const char* rest = read_number(key.c_str() + before.size(), first);
  if (!rest || std::string(rest).rfind(middle, 0) != 0) return false;
  rest = read_number(rest + middle.size(), second);
  return rest && after == rest;
}

struct Point {
  double x = 0, y = 0;
};

// Least squares of a polynomial of `degree`, lowest coefficient first. REQUIRES: more different x
// than `degree`.
std::vector<double> fit_polynomial(const std::vector<Point>& points, int degree) {
  const int n = degree + 1;
  double scale = 0;  // of x, so that the normal equations stay well conditioned
  for (const Point& point : points) scale = std::max(scale, std::abs(point.x));
  std::vector<std::vector<long double>> rows(
      static_cast<std::size_t>(n), std::vector<long double>(static_cast<std::size_t>(n) + 1));
  for (const Point& point : points) {
    const long double x = point.x / scale;
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) rows[i][j] += std::pow(x, i + j);
      rows[i][n] += std::pow(x, i) * point.y;
    }
  }
  for (int i = 0; i < n; ++i) {
    int pivot = i;
    for (int k = i + 1; k < n; ++k) {
      if (std::abs(rows[k][i]) > std::abs(rows[pivot][i])) pivot = k;
    }
    std::swap(rows[i], rows[pivot]);
    for (int k = 0; k < n; ++k) {
      if (k == i) continue;
      const long double factor = rows[k][i] / rows[i][i];
      for (int j = i; j <= n; ++j) rows[k][j] -= factor * rows[i][j];
    }
  }
  std::vector<double> out;
  for (int i = 0; i < n; ++i) {
    out.push_back(static_cast<double>(rows[i][n] / rows[i][i] / std::pow(scale, i)));
  }
  return out;
}

// A file of the folder by name, or nullopt.
std::optional<Json> read_if_there(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  Json json = read_json_file(path);
  if (!json.is_object()) fail(path.string(), "must be a JSON object");
  return json;
}

Json read_required(const fs::path& path) {
  auto json = read_if_there(path);
  if (!json) throw ConfigError("[galvatron2 profile] ", path.string(), " is missing");
  return *json;
}

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
std::string machine_name(const Galvatron2ProfileQuery& query,
                         const std::vector<std::string>& names) {
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

Galvatron2Table read_degrees(const Json& json, const std::string& file, const std::string& before,
                             const std::string& after) {
  Galvatron2Table table{file, before, after, {}};
  for (const auto& [key, value] : json.items()) {
    int degree = 0;
    if (!read_key(key, before, after, degree)) continue;
    if (degree < 1 || degree > kLargestDegree) fail(file, "key '" + key + "' names no degree");
    table.values[degree] = positive(value, file, key);
  }
  return table;
}

Galvatron2GroupTimes read_group_times(const Json& json, const std::string& file,
                                      const std::string& operation) {
  Galvatron2GroupTimes out{file, operation, {}};
  for (const auto& [key, value] : json.items()) {
    int degree = 0, mb = 0;
    if (!read_key(key, operation + "_size_", "_", "MB_time", degree, mb) || degree < 2) continue;
    out.by_degree[degree].ms_by_mb[mb] = positive(value, file, key);
  }
  for (auto& [degree, times] : out.by_degree) {
    if (times.ms_by_mb.size() < kPointsOfABatchFit) {
      fail(file, fmt::format("{}_size_{}_*MB_time has {} sizes; a line needs at least {}",
                             operation, degree, times.ms_by_mb.size(), kPointsOfABatchFit));
    }
    std::vector<Point> points;
    for (const auto& [mb, ms] : times.ms_by_mb) points.push_back({double(mb), ms});
    const auto line = fit_polynomial(points, 1);
    if (line[1] <= 0) {
      fail(file, fmt::format("{}_size_{}_*MB_time falls as messages grow", operation, degree));
    }
    times.intercept = line[0];
    times.slope = line[1];
  }
  return out;
}

void read_machine(const Galvatron2ProfileQuery& query, const std::vector<std::string>& names,
                  Galvatron2Profiles& out) {
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
  if (!coefficient.contains("overlap_coe")) fail(overlap.string(), "key 'overlap_coe' is missing");
  out.overlap_slowdown =
      positive(coefficient["overlap_coe"], overlap.string(), "overlap_coe", /*least=*/1);
}

// Model names of "{kind}_{precision}_{model}[_all].json" in the folder.
std::set<std::string> models_of(const std::vector<std::string>& names, const std::string& prefix) {
  std::set<std::string> models;
  for (const std::string& name : names) {
    const std::string suffix = ".json";
    if (name.rfind(prefix, 0) != 0 || name.size() <= prefix.size() + suffix.size()) continue;
    if (name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) continue;
    std::string model = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    if (model.size() > 4 && model.compare(model.size() - 4, 4, "_all") == 0) {
      model.resize(model.size() - 4);
    }
    models.insert(model);
  }
  return models;
}

// Does a memory profile say anything about layers? Files of raw measurements alone do not.
bool has_layer_memory(const fs::path& path) {
  const Json json = read_required(path);
  for (const auto& item : json.items()) {
    if (item.key().rfind("layertype_", 0) == 0) return true;
  }
  return false;
}

fs::path model_file(const fs::path& directory, const std::string& prefix,
                    const std::string& model) {
  const fs::path all = directory / (prefix + model + "_all.json");
  const fs::path plain = directory / (prefix + model + ".json");
  if (fs::exists(all) && fs::exists(plain)) {
    throw ConfigError("[galvatron2 profile] ", all.string(), " and ", plain.string(),
                      " are both there; remove one");
  }
  return fs::exists(plain) ? plain : all;
}

std::string model_name(const Galvatron2ProfileQuery& query, const std::vector<std::string>& names) {
  if (!query.model.empty()) return query.model;
  const std::string precision = spec::to_text(query.precision);
  const std::string prefix = "memory_profiling_" + precision + "_";
  std::vector<std::string> found;
  for (const std::string& model : models_of(names, prefix)) {
    if (has_layer_memory(model_file(query.directory, prefix, model))) found.push_back(model);
  }
  if (found.size() == 1) return found.front();
  throw ConfigError(
      "[galvatron2 profile] ", query.directory.string(),
      found.empty()
          ? fmt::format(" has no memory_profiling_{}_{{model}}_all.json with layer entries",
                        precision)
          : fmt::format(" holds profiles of {}; say which with --model", fmt::join(found, ", ")));
}

// Values of "{type}_bsz{b}_seq{s}": [seq][bsz].
using Sweep = std::map<int, std::map<int, double>>;

Sweep read_sweep(const Json& json, const std::string& file, const std::string& type, double least) {
  Sweep sweep;
  for (const auto& [key, value] : json.items()) {
    int bsz = 0, seq = 0;
    if (!read_key(key, type + "_bsz", "_seq", "", bsz, seq)) continue;
    if (bsz < 1 || seq < 1) fail(file, "key '" + key + "' names no batch size and length");
    sweep[seq][bsz] = positive(value, file, key, least);
  }
  return sweep;
}

Galvatron2TimeLine fit_batches(const Sweep& sweep, int seq, const std::string& file,
                               const std::string& type) {
  const auto it = sweep.find(seq);
  const std::size_t count = it == sweep.end() ? 0 : it->second.size();
  if (count < kPointsOfABatchFit) {
    fail(file, fmt::format("{}_bsz*_seq{} has {} batch sizes; time profile mode 'batch' needs at "
                           "least {}",
                           type, seq, count, kPointsOfABatchFit));
  }
  std::vector<Point> points;
  for (const auto& [bsz, ms] : it->second) points.push_back({double(bsz), bsz * ms});
  const auto line = fit_polynomial(points, 1);
  if (line[1] < 0) {
    fail(file, fmt::format("{}_bsz*_seq{} contradicts itself: the time of a whole batch falls as "
                           "the batch grows",
                           type, seq));
  }
  return {line[1], line[0]};
}

Galvatron2TimeLine fit_lengths(const Sweep& sweep, int seq, int degree, const std::string& file,
                               const std::string& type) {
  std::vector<Point> points;
  for (const auto& [length, by_batch] : sweep) {
    const auto it = by_batch.find(1);
    if (it != by_batch.end()) points.push_back({double(length), it->second});
  }
  if (static_cast<int>(points.size()) <= degree) {
    fail(file, fmt::format("{}_bsz1_seq* has {} lengths; time profile mode 'sequence' needs at "
                           "least {}",
                           type, points.size(), degree + 1));
  }
  const auto coefficients = fit_polynomial(points, degree);
  double value = 0;
  for (int i = degree; i >= 0; --i) value = value * seq + coefficients[i];
  if (!(value >= 0)) {
    fail(file, fmt::format("{}_bsz1_seq* gives {} ms at length {}", type, value, seq));
  }
  return {value, 0};
}

Galvatron2TimeLine take_single(const Sweep& sweep, int seq, const std::string& file,
                               const std::string& type) {
  const auto it = sweep.find(seq);
  if (it == sweep.end()) fail(file, fmt::format("key '{}_bsz1_seq{}' is missing", type, seq));
  return {it->second.begin()->second, 0};
}

Galvatron2TimeLine time_line(const Galvatron2ProfileQuery& query, const Json& json,
                             const std::string& file, const std::string& type, int length_degree,
                             double least) {
  const Sweep sweep = read_sweep(json, file, type, least);
  const int seq = static_cast<int>(query.seq_length);
  switch (query.time_mode) {
    case Galvatron2TimeMode::kBatch:
      return fit_batches(sweep, seq, file, type);
    case Galvatron2TimeMode::kSequence:
      return fit_lengths(sweep, seq, length_degree, file, type);
    case Galvatron2TimeMode::kStatic:
      break;
  }
  return take_single(sweep, seq, file, type);
}

void require_one_layer_type(const Json& json, const std::string& file) {
  for (const auto& item : json.items()) {
    if (item.key().rfind("layertype_1", 0) == 0) {
      fail(file, "has several layer types ('" + item.key() +
                     "'); the Galvatron-2 search knows models of one layer type");
    }
  }
}

void read_computation(const Galvatron2ProfileQuery& query, Galvatron2Profiles& out) {
  const std::string prefix = "computation_profiling_" + spec::to_text(query.precision) + "_";
  const fs::path path = model_file(query.directory, prefix, out.model);
  const Json json = read_required(path);
  require_one_layer_type(json, path.string());
  out.layer_forward = time_line(query, json, path.string(), "layertype_0", 2, 1e-12);
  out.other_forward = time_line(query, json, path.string(), "layertype_other", 1, 0);
}

// A memory entry at the length asked for: (value, scale of what grows with the length).
struct LengthEntry {
  const Json* value = nullptr;
  std::string source;
  double scale = 1;
};

LengthEntry entry_of_length(const Json& json, const std::string& file, const std::string& key,
                            std::int64_t wanted, Galvatron2MemoryMode mode, bool shortest = false) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_object()) fail(file, "key '" + key + "' is missing");
  if (mode == Galvatron2MemoryMode::kStatic) {
    const auto entry = it->find(std::to_string(wanted));
    if (entry == it->end()) {
      fail(file,
           fmt::format("key '{}' has no length '{}' (memory profile mode 'static')", key, wanted));
    }
    return {&*entry, fmt::format("{}: {}: {}", file, key, wanted), 1};
  }
  std::map<int, const Json*> lengths;
  for (const auto& [text, value] : it->items()) {
    int length = 0;
    if (read_key(text, "", "", length) && length > 0) lengths[length] = &value;
  }
  if (lengths.empty()) fail(file, "key '" + key + "' has no sequence length");
  const auto& [length, value] = shortest ? *lengths.begin() : *lengths.rbegin();
  return {value, fmt::format("{}: {}: {}", file, key, length),
          static_cast<double>(wanted) / length};
}

// {"1": MB, "2": MB, ...}. Degrees up to max_degree that were not measured are halved from the
// degree below, as sequence parallelism divides everything.
Galvatron2Table degree_memory(const LengthEntry& entry, const std::string& key,
                              const Galvatron2ProfileQuery& query, double scale) {
  const auto it = entry.value->is_object() ? entry.value->find(key) : entry.value->end();
  if (it == entry.value->end() || !it->is_object()) {
    fail(entry.source, "key '" + key + "' is missing");
  }
  Galvatron2Table table = read_degrees(*it, entry.source + ": " + key, "", "");
  for (auto& [degree, mb] : table.values) mb *= scale;
  for (int degree = 2; query.sequence_parallel && degree <= query.max_degree; degree *= 2) {
    const auto half = table.values.find(degree / 2);
    if (half != table.values.end()) table.values.try_emplace(degree, half->second / 2);
  }
  return table;
}

void read_memory(const Galvatron2ProfileQuery& query, Galvatron2Profiles& out) {
  const std::string prefix = "memory_profiling_" + spec::to_text(query.precision) + "_";
  const fs::path path = model_file(query.directory, prefix, out.model);
  const Json json = read_required(path);
  const std::string file = path.string();
  const std::string suffix = query.sequence_parallel ? "_sp" : "";
  const std::string layer_key = "layertype_0" + suffix;
  if (json.contains("layertype_1" + suffix)) require_one_layer_type(json, file);
  const auto entry = [&](const std::string& key, bool shortest = false) {
    return entry_of_length(json, file, key, query.seq_length, query.memory_mode, shortest);
  };
  const LengthEntry parameters = entry(layer_key, /*shortest=*/true);
  if (!parameters.value->is_object() || !parameters.value->contains("parameter_size")) {
    fail(parameters.source, "key 'parameter_size' is missing");
  }
  out.parameter_mb =
      positive((*parameters.value)["parameter_size"], parameters.source, "parameter_size");
  const LengthEntry layer = entry(layer_key);
  const std::string activation = "tp_activation_per_bsz_dict";
  out.activation_mb = degree_memory(layer, activation, query, layer.scale);
  const Json& activations = (*layer.value)[activation];
  if (!activations.contains("checkpoint")) {
    fail(layer.source, "key '" + activation + "' lacks 'checkpoint'");
  }
  out.recompute_activation_mb =
      positive(activations["checkpoint"], layer.source, "checkpoint") * layer.scale;
  const auto other = [&](const std::string& key) {
    const LengthEntry found = entry(key + suffix);
    return Galvatron2OtherMemory{degree_memory(found, "model_states", query, 1),
                                 degree_memory(found, "activation", query, found.scale)};
  };
  out.other_alone = other("other_memory_pp_off");
  out.other_first = other("other_memory_pp_on_first");
  out.other_last = other("other_memory_pp_on_last");
}

}  // namespace

Galvatron2TimeMode parse_galvatron2_time_mode(const std::string& text) {
  if (text == "static") return Galvatron2TimeMode::kStatic;
  if (text == "batch") return Galvatron2TimeMode::kBatch;
  if (text == "sequence") return Galvatron2TimeMode::kSequence;
  throw ConfigError("[time-profile-mode] '", text, "' is not one of static, batch, sequence",
                    did_you_mean(text, {"static", "batch", "sequence"}));
}

Galvatron2MemoryMode parse_galvatron2_memory_mode(const std::string& text) {
  if (text == "static") return Galvatron2MemoryMode::kStatic;
  if (text == "sequence") return Galvatron2MemoryMode::kSequence;
  throw ConfigError("[memory-profile-mode] '", text, "' is not one of static, sequence",
                    did_you_mean(text, {"static", "sequence"}));
}

double Galvatron2Table::at(int degree) const {
  const auto it = values.find(degree);
  if (it == values.end()) {
    fail(file, fmt::format("key '{}{}{}' is missing", key_before, degree, key_after));
  }
  return it->second;
}

double Galvatron2MessageTimes::at(double mb) const {
  const double rounded = std::round(mb);
  if (rounded == mb && rounded <= kLargestDegree) {
    const auto it = ms_by_mb.find(static_cast<int>(rounded));
    if (it != ms_by_mb.end()) return it->second;
  }
  return slope * mb + intercept;
}

const Galvatron2MessageTimes& Galvatron2GroupTimes::at(int degree) const {
  const auto it = by_degree.find(degree);
  if (it == by_degree.end()) {
    fail(file, fmt::format("keys '{}_size_{}_*MB_time' are missing{}", operation, degree,
                           std::filesystem::exists(file) ? "" : ": there is no such file"));
  }
  return it->second;
}

Galvatron2Profiles read_galvatron2_profiles(const Galvatron2ProfileQuery& query) {
  const std::vector<std::string> names = file_names(query.directory);
  Galvatron2Profiles out;
  out.model = model_name(query, names);
  read_machine(query, names, out);
  read_computation(query, out);
  read_memory(query, out);
  return out;
}

}  // namespace galvatron::profiles
