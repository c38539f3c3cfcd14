// computation_profiling_* and memory_profiling_*.
#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/galvatron2/files.h"

namespace galvatron::galvatron2 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSequenceParallel = "_sp";

// Of a part of a layer alone, for the profiler's own use.
bool is_part(const std::string& model) {
  return model.ends_with("_attention") || model.ends_with("_mlp");
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
    if (!is_part(model)) models.insert(model);
  }
  return models;
}

// Models that are there at another precision, as the end of a sentence.
std::string other_precisions(const std::vector<std::string>& names, const std::string& asked) {
  std::vector<std::string> found;
  for (const std::string precision : {"fp32", "fp16", "bf16"}) {
    if (precision != asked &&
        !models_of(names, fmt::format("memory_profiling_{}_", precision)).empty())
      found.push_back(precision);
  }
  return found.empty() ? "" : fmt::format("; it has --precision {}", fmt::join(found, " or "));
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

// Values of "{type}_bsz{b}_seq{s}": [seq][bsz].
using Sweep = std::map<int, std::map<int, double>>;

Sweep read_sweep(const Json& json, const std::string& file, const std::string& type, double least) {
  Sweep sweep;
  for (const auto& [key, value] : json.items()) {
    int bsz = 0, seq = 0;
    if (!read_key(key, type + "_bsz", "_seq", "", bsz, seq)) continue;
    if (bsz < 1 || seq < 1) fail_profile(file, "key '" + key + "' names no batch size and length");
    sweep[seq][bsz] = positive(value, file, key, least);
  }
  return sweep;
}

// The mode that a sweep which is none of batch sizes was made for.
std::string other_mode(const Sweep& sweep, int seq) {
  if (sweep.empty()) return "; profile the model anew: no key names batch size and length";
  const auto is_long = [](const auto& item) { return item.second.contains(1); };
  if (std::count_if(sweep.begin(), sweep.end(), is_long) > 2)
    return "; its lengths are for --time-profile-mode sequence";
  return sweep.contains(seq) ? "; use --time-profile-mode static" : "";
}

TimeLine fit_batches(const Sweep& sweep, int seq, const std::string& file,
                     const std::string& type) {
  const auto it = sweep.find(seq);
  const std::size_t count = it == sweep.end() ? 0 : it->second.size();
  if (count < kPointsOfABatchFit) {
    fail_profile(file,
                 fmt::format("{}_bsz*_seq{} has {} batch sizes; time profile mode 'batch' needs at "
                             "least {}{}",
                             type, seq, count, kPointsOfABatchFit, other_mode(sweep, seq)));
  }
  std::vector<FitPoint> points;
  for (const auto& [bsz, ms] : it->second) points.push_back({double(bsz), bsz * ms});
  const auto line = fit_polynomial(points, 1);
  if (line[1] < 0) {
    fail_profile(file,
                 fmt::format("{}_bsz*_seq{} contradicts itself: the time of a whole batch falls as "
                             "the batch grows",
                             type, seq));
  }
  return {line[1], line[0]};
}

TimeLine fit_lengths(const Sweep& sweep, int seq, int degree, const std::string& file,
                     const std::string& type) {
  std::vector<FitPoint> points;
  for (const auto& [length, by_batch] : sweep) {
    const auto it = by_batch.find(1);
    if (it != by_batch.end()) points.push_back({double(length), it->second});
  }
  if (static_cast<int>(points.size()) <= degree) {
    fail_profile(file,
                 fmt::format("{}_bsz1_seq* has {} lengths; time profile mode 'sequence' needs at "
                             "least {}",
                             type, points.size(), degree + 1));
  }
  const auto coefficients = fit_polynomial(points, degree);
  double value = 0;
  for (int i = degree; i >= 0; --i) value = value * seq + coefficients[i];
  if (!(value >= 0)) {
    fail_profile(file, fmt::format("{}_bsz1_seq* gives {} ms at length {}", type, value, seq));
  }
  return {value, 0};
}

TimeLine take_single(const Sweep& sweep, int seq, const std::string& file,
                     const std::string& type) {
  const auto it = sweep.find(seq);
  if (it == sweep.end())
    fail_profile(file, fmt::format("key '{}_bsz1_seq{}' is missing", type, seq));
  return {it->second.begin()->second, 0};
}

TimeLine time_line(const ProfileQuery& query, const Json& json, const std::string& file,
                   const std::string& type, int length_degree, double least) {
  const Sweep sweep = read_sweep(json, file, type, least);
  const int seq = static_cast<int>(query.seq_length);
  switch (query.time_mode) {
    case TimeMode::kBatch:
      return fit_batches(sweep, seq, file, type);
    case TimeMode::kSequence:
      return fit_lengths(sweep, seq, length_degree, file, type);
    case TimeMode::kStatic:
      break;
  }
  return take_single(sweep, seq, file, type);
}

// "layertype_other", or what files since version 2.4 call it: "layertype_other_0".
std::string other_type(const Json& json) {
  const std::string type = "layertype_other", numbered = type + "_0";
  for (const auto& item : json.items()) {
    if (item.key().starts_with(numbered + "_bsz")) return numbered;
  }
  return type;
}

void require_one_layer_type(const Json& json, const std::string& file) {
  for (const auto& item : json.items()) {
    if (item.key().rfind("layertype_1", 0) == 0) {
      fail_profile(file, "has several layer types ('" + item.key() +
                             "'); the Galvatron-2 search knows models of one layer type");
    }
  }
}

// Its keys end in _sp where they were measured with Megatron sequence parallelism.
std::string other_parallelism(const Json& json, const std::string& key) {
  const bool asked = key.ends_with(kSequenceParallel);
  const std::string plain = asked ? key.substr(0, key.size() - kSequenceParallel.size()) : key;
  const std::string other = asked ? plain : plain + std::string(kSequenceParallel);
  if (!json.contains(other)) return "";
  return fmt::format("; '{}' is there: {} --no-sequence-parallel", other,
                     asked ? "use" : "leave away");
}

// A memory entry at the length asked for: (value, scale of what grows with the length).
struct LengthEntry {
  const Json* value = nullptr;
  std::string source;
  double scale = 1;
};

LengthEntry entry_of_length(const Json& json, const std::string& file, const std::string& key,
                            std::int64_t wanted, MemoryMode mode, bool shortest = false) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_object())
    fail_profile(file, "key '" + key + "' is missing" + other_parallelism(json, key));
  if (mode == MemoryMode::kStatic) {
    const auto entry = it->find(std::to_string(wanted));
    if (entry == it->end()) {
      fail_profile(file, fmt::format("key '{}' has no length '{}' (memory profile mode 'static')",
                                     key, wanted));
    }
    return {&*entry, fmt::format("{}: {}: {}", file, key, wanted), 1};
  }
  std::map<int, const Json*> lengths;
  for (const auto& [text, value] : it->items()) {
    int length = 0;
    if (read_key(text, "", "", length) && length > 0) lengths[length] = &value;
  }
  if (lengths.empty()) fail_profile(file, "key '" + key + "' has no sequence length");
  const auto& [length, value] = shortest ? *lengths.begin() : *lengths.rbegin();
  return {value, fmt::format("{}: {}: {}", file, key, length),
          static_cast<double>(wanted) / length};
}

// {"1": MB, "2": MB, ...}. Degrees up to max_degree that were not measured are halved from the
// degree below, as sequence parallelism divides everything.
Table degree_memory(const LengthEntry& entry, const std::string& key, const ProfileQuery& query,
                    double scale) {
  const auto it = entry.value->is_object() ? entry.value->find(key) : entry.value->end();
  if (it == entry.value->end() || !it->is_object()) {
    fail_profile(entry.source, "key '" + key + "' is missing");
  }
  Table table = read_degrees(*it, entry.source + ": " + key, "", "");
  for (auto& [degree, mb] : table.values) mb *= scale;
  for (int degree = 2; query.sequence_parallel && degree <= query.max_degree; degree *= 2) {
    const auto half = table.values.find(degree / 2);
    if (half != table.values.end()) table.values.try_emplace(degree, half->second / 2);
  }
  return table;
}

}  // namespace

std::string model_name(const ProfileQuery& query, const std::vector<std::string>& names) {
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
          ? fmt::format(" has no memory_profiling_{}_{{model}}_all.json with layer entries{}",
                        precision, other_precisions(names, precision))
          : fmt::format(" holds profiles of {}; say which with --model", fmt::join(found, ", ")));
}

void read_computation(const ProfileQuery& query, Profiles& out) {
  const std::string prefix = "computation_profiling_" + spec::to_text(query.precision) + "_";
  const fs::path path = model_file(query.directory, prefix, out.model);
  const Json json = read_required(path);
  require_one_layer_type(json, path.string());
  out.layer_forward = time_line(query, json, path.string(), "layertype_0", 2, 1e-12);
  out.other_forward = time_line(query, json, path.string(), other_type(json), 1, 0);
}

void read_memory(const ProfileQuery& query, Profiles& out) {
  const std::string prefix = "memory_profiling_" + spec::to_text(query.precision) + "_";
  const fs::path path = model_file(query.directory, prefix, out.model);
  const Json json = read_required(path);
  const std::string file = path.string();
  const std::string suffix(query.sequence_parallel ? kSequenceParallel : "");
  const std::string layer_key = "layertype_0" + suffix;
  if (json.contains("layertype_1" + suffix)) require_one_layer_type(json, file);
  const auto entry = [&](const std::string& key, bool shortest = false) {
    return entry_of_length(json, file, key, query.seq_length, query.memory_mode, shortest);
  };
  const LengthEntry parameters = entry(layer_key, /*shortest=*/true);
  if (!parameters.value->is_object() || !parameters.value->contains("parameter_size")) {
    fail_profile(parameters.source, "key 'parameter_size' is missing");
  }
  out.parameter_mb =
      positive((*parameters.value)["parameter_size"], parameters.source, "parameter_size");
  const LengthEntry layer = entry(layer_key);
  const std::string activation = "tp_activation_per_bsz_dict";
  out.activation_mb = degree_memory(layer, activation, query, layer.scale);
  const Json& activations = (*layer.value)[activation];
  if (!activations.contains("checkpoint")) {
    fail_profile(layer.source, "key '" + activation + "' lacks 'checkpoint'");
  }
  out.recompute_activation_mb =
      positive(activations["checkpoint"], layer.source, "checkpoint") * layer.scale;
  const auto other = [&](const std::string& key) {
    const LengthEntry found = entry(key + suffix);
    return OtherMemory{degree_memory(found, "model_states", query, 1),
                       degree_memory(found, "activation", query, found.scale)};
  };
  out.other_alone = other("other_memory_pp_off");
  out.other_first = other("other_memory_pp_on_first");
  out.other_last = other("other_memory_pp_on_last");
}

}  // namespace galvatron::galvatron2
