#include <map>
#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/profiles/format.h"
#include "galvatron/profiles/model_profile.h"

namespace galvatron::profiles {
namespace {

constexpr const char* kModelFormat = "galvatron-model-profile";

LayerMeasurement read_measurement(JsonReader reader) {
  LayerMeasurement out;
  const auto ms = [&](const char* key) {
    return Milliseconds{reader.get_number(key, 0, kMaxMilliseconds)};
  };
  const auto bytes = [&](const char* key) { return Bytes{reader.get_int(key, 0, kMaxBytes)}; };
  out.tp_degree = static_cast<int>(reader.get_int_or("tp_degree", 1, 1, kMaxRanks));
  out.samples = reader.get_number("samples", 1e-6, 1e9);
  out.forward = ms("forward_ms");
  out.backward = ms("backward_ms");
  out.selective_recompute = {
      reader.get_number_or("selective_recompute_ms", 0, 0, kMaxMilliseconds)};
  out.ulysses_forward = {reader.get_number_or("ulysses_forward_ms", 0, 0, kMaxMilliseconds)};
  out.ulysses_backward = {reader.get_number_or("ulysses_backward_ms", 0, 0, kMaxMilliseconds)};
  out.activation = bytes("activation_bytes");
  out.activation_selective =
      Bytes{reader.get_int_or("activation_selective_bytes", out.activation.value, 0, kMaxBytes)};
  out.forward_workspace = Bytes{reader.get_int_or("forward_workspace_bytes", 0, 0, kMaxBytes)};
  out.backward_workspace = Bytes{reader.get_int_or("backward_workspace_bytes", 0, 0, kMaxBytes)};
  reader.finish();
  return out;
}

LayerTypeProfile read_type(JsonReader reader) {
  LayerTypeProfile out;
  out.type = reader.get_string("type");
  out.parameter_bytes = Bytes{reader.get_int_or("parameter_bytes", 0, 0, kMaxBytes)};
  out.shapes = spec::read_shapes(reader);
  out.contention = read_contention(reader, "contention");
  const Json& list = get_list(reader, "measurements");
  for (std::size_t i = 0; i < list.size(); ++i) {
    out.measurements.push_back(
        read_measurement(JsonReader(list[i], entry_source(reader, "measurements", i))));
  }
  reader.finish();
  if (out.measurements.empty()) {
    throw ConfigError("[profile] ", reader.source(), ": 'measurements' is empty");
  }
  std::map<int, std::vector<CurvePoint>> times;
  for (const LayerMeasurement& m : out.measurements)
    times[m.tp_degree].push_back({m.samples, (m.forward + m.backward).value});
  for (const auto& [degree, points] : times)
    require_plausible_times(points, reader.source(), "samples");
  return out;
}

OrderedJson measurement_to_json(const LayerMeasurement& m) {
  return {{"tp_degree", m.tp_degree},
          {"samples", m.samples},
          {"forward_ms", m.forward.value},
          {"backward_ms", m.backward.value},
          {"selective_recompute_ms", m.selective_recompute.value},
          {"ulysses_forward_ms", m.ulysses_forward.value},
          {"ulysses_backward_ms", m.ulysses_backward.value},
          {"activation_bytes", m.activation.value},
          {"activation_selective_bytes", m.activation_selective.value},
          {"forward_workspace_bytes", m.forward_workspace.value},
          {"backward_workspace_bytes", m.backward_workspace.value}};
}

OrderedJson type_to_json(const LayerTypeProfile& entry) {
  OrderedJson list = OrderedJson::array();
  for (const LayerMeasurement& m : entry.measurements) list.push_back(measurement_to_json(m));
  OrderedJson out = {{"type", entry.type}, {"parameter_bytes", entry.parameter_bytes.value}};
  if (!entry.shapes.empty()) out["shapes"] = spec::shapes_to_json(entry.shapes);
  out["measurements"] = list;
  if (!entry.contention.empty()) out["contention"] = contention_to_json(entry.contention);
  return out;
}

}  // namespace

ModelProfile model_profile_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  require_format(reader, kModelFormat);
  ModelProfile out;
  out.provenance = read_provenance(reader);
  out.model = reader.get_string("model");
  out.seq_length = reader.get_int("seq_length", 1, std::int64_t{1} << 30);
  out.precision =
      spec::parse_precision(reader.get_choice_or("precision", "fp32", spec::precision_names()));
  out.device = reader.get_string("device");
  const Json& list = get_list(reader, "layer_types");
  for (std::size_t i = 0; i < list.size(); ++i) {
    out.types.push_back(read_type(JsonReader(list[i], entry_source(reader, "layer_types", i))));
    for (std::size_t j = 0; j < i; ++j) {
      if (out.types[j].type == out.types[i].type) {
        throw ConfigError("[profile] ", source, ": layer type '", out.types[i].type,
                          "' is there twice");
      }
    }
  }
  reader.finish();
  return out;
}

ModelProfile read_model_profile(const std::filesystem::path& path) {
  return model_profile_from_json(read_json_file(path), path.string());
}

OrderedJson model_profile_to_json(const ModelProfile& profile) {
  OrderedJson list = OrderedJson::array();
  for (const LayerTypeProfile& entry : profile.types) list.push_back(type_to_json(entry));
  return {{"format", kModelFormat},
          {"version", 1},
          {"provenance", provenance_to_json(profile.provenance)},
          {"model", profile.model},
          {"seq_length", profile.seq_length},
          {"precision", spec::to_text(profile.precision)},
          {"device", profile.device},
          {"layer_types", list}};
}

void write_model_profile(const std::filesystem::path& path, const ModelProfile& profile) {
  write_json_file(path, model_profile_to_json(profile));
}

}  // namespace galvatron::profiles
