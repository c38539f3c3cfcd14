// Plan JSON: layers run-length grouped, defaults left out, one group per line.
#include <limits>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/plan/plan.h"

namespace galvatron::plan {
namespace {

constexpr const char* kFormat = "galvatron-plan";
constexpr int kVersion = 1;
constexpr std::int64_t kMaxLayers = 10'002;
constexpr std::int64_t kMaxBatch = 1'000'000'000;

void check_format(JsonReader& reader) {
  const std::string format = reader.get_string_or("format", "");
  if (format != kFormat) {
    throw ConfigError("[plan] ", reader.source(), " is no plan of ours: its \"format\" is '",
                      format, "', not '", kFormat, "'");
  }
  const std::int64_t version = reader.get_int("version", 0, std::numeric_limits<int>::max());
  if (version != kVersion) {
    throw ConfigError("[plan] ", reader.source(), " has version ", version,
                      "; this program reads version ", kVersion);
  }
}

Pipeline read_pipeline(JsonReader& plan, int num_layers) {
  Pipeline pipeline;
  if (!plan.has("pipeline")) {
    plan.ignore("pipeline");
    pipeline.layers_per_stage = {num_layers};
    return pipeline;
  }
  JsonReader reader = plan.get_object("pipeline");
  pipeline.degree = static_cast<int>(reader.get_int_or("degree", 1, 1, kMaxRanks));
  pipeline.schedule = parse_schedule(reader.get_choice_or("schedule", "1f1b", schedule_names()));
  if (reader.has("layers_per_stage")) {
    for (const Json& value : reader.get_array("layers_per_stage")) {
      const Json entry = {{"layers_per_stage", value}};
      JsonReader one(entry, reader.source());
      pipeline.layers_per_stage.push_back(
          static_cast<int>(one.get_int("layers_per_stage", 1, kMaxLayers)));
    }
  } else {
    reader.ignore("layers_per_stage");
    const int stages = pipeline.degree * traits(pipeline.schedule).usual_stages_per_rank;
    pipeline.layers_per_stage = even_stages(num_layers, stages);
  }
  reader.finish();
  return pipeline;
}

void read_group(const Json& json, const std::string& source, std::vector<LayerStrategy>& layers) {
  JsonReader reader(json, source);
  const std::int64_t count = reader.get_int_or("count", 1, 1, kMaxLayers);
  const LayerStrategy strategy = read_strategy(reader);
  reader.finish();
  if (static_cast<std::int64_t>(layers.size()) + count > kMaxLayers) {
    throw ConfigError("[plan] ", source, ": more than ", kMaxLayers, " layers");
  }
  layers.insert(layers.end(), static_cast<std::size_t>(count), strategy);
}

int read_value(JsonReader& reader, const StrategyField<int>& field) {
  return static_cast<int>(reader.get_int_or(field.name, field.standard(), field.least, field.most));
}

bool read_value(JsonReader& reader, const StrategyField<bool>& field) {
  return reader.get_bool_or(field.name, field.standard());
}

template <NamedEnum E>
E read_value(JsonReader& reader, const StrategyField<E>& field) {
  return reader.get_enum_or(field.name, field.standard());
}

template <typename T>
OrderedJson value_to_json(T value) {
  if constexpr (NamedEnum<T>) {
    return enum_text(value);
  } else {
    return value;
  }
}

OrderedJson group_to_json(int count, const LayerStrategy& strategy) {
  OrderedJson out = {{"count", count}};
  for_each_field([&](const auto& field) {
    const auto value = strategy.*field.member;
    if (value != field.standard()) out[field.name] = value_to_json(value);
  });
  return out;
}

OrderedJson layers_to_json(const std::vector<LayerStrategy>& layers) {
  OrderedJson out = OrderedJson::array();
  for (std::size_t begin = 0; begin < layers.size();) {
    std::size_t end = begin;
    while (end < layers.size() && layers[end] == layers[begin]) ++end;
    out.push_back(group_to_json(static_cast<int>(end - begin), layers[begin]));
    begin = end;
  }
  return out;
}

// {"count": 1, "tp_degree": 4} on one line.
std::string on_one_line(const OrderedJson& value) {
  if (!value.is_structured()) return value.dump();
  const bool object = value.is_object();
  std::string out;
  for (const auto& item : value.items()) {
    if (!out.empty()) out += ", ";
    if (object) out += OrderedJson(item.key()).dump() + ": ";
    out += on_one_line(item.value());
  }
  return (object ? "{" : "[") + out + (object ? "}" : "]");
}

std::string groups_by_line(const OrderedJson& groups) {
  std::string out = "[";
  for (const OrderedJson& group : groups) {
    out += out.size() > 1 ? ",\n    " : "\n    ";
    out += on_one_line(group);
  }
  return out + "\n  ]";
}

// dump(2), moved right by two columns. Strings hold no raw line breaks, so this is safe.
std::string indented(const OrderedJson& value) {
  std::string out;
  for (const char c : value.dump(2)) out += c == '\n' ? "\n  " : std::string(1, c);
  return out;
}

}  // namespace

LayerStrategy read_strategy(JsonReader& reader, FieldsOf fields) {
  LayerStrategy strategy;
  for_each_field([&](const auto& field) {
    if (fields == FieldsOf::kOptions && !field.supported()) return;
    strategy.*field.member = read_value(reader, field);
  });
  return strategy;
}

OrderedJson strategy_fields_to_json() {
  OrderedJson out = OrderedJson::array();
  for_each_field([&](const auto& field) {
    OrderedJson entry = {{"name", field.name},
                         {"default", value_to_json(field.standard())},
                         {"help", field.help},
                         {"label", field.label},
                         {"supported", field.supported()},
                         {"splits_sequence", field.splits_sequence}};
    using T = decltype(field.standard());
    if constexpr (std::is_same_v<T, int>) entry["least"] = field.least, entry["most"] = field.most;
    if constexpr (NamedEnum<T>) entry["choices"] = enum_names<T>();
    out.push_back(std::move(entry));
  });
  return out;
}

Plan plan_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  check_format(reader);
  Plan plan;
  plan.model = reader.get_string_or("model", "");
  plan.shapes = spec::read_shapes(reader);
  plan.world_size = static_cast<int>(reader.get_int("world_size", 1, kMaxRanks));
  plan.global_batch = reader.get_int("global_batch", 1, kMaxBatch);
  plan.num_microbatches = static_cast<int>(reader.get_int_or("num_microbatches", 1, 1, kMaxBatch));
  plan.precision = reader.get_enum_or("precision", plan.precision);
  if (reader.has("communication"))
    plan.communication = spec::read_communication(reader.get_object("communication"));
  int index = 0;
  for (const Json& group : reader.get_array("layers")) {
    const std::string place =
        fmt::format("{}: group {} of layers (from layer {})", source, index++, plan.layers.size());
    read_group(group, place, plan.layers);
  }
  plan.pipeline = read_pipeline(reader, static_cast<int>(plan.layers.size()));
  if (reader.has("search")) plan.search = OrderedJson::parse(reader.get("search").dump());
  reader.ignore("search");
  reader.finish();
  return plan;
}

OrderedJson plan_to_json(const Plan& plan) {
  OrderedJson out;
  out["format"] = kFormat;
  out["version"] = kVersion;
  out["model"] = plan.model;
  if (!plan.shapes.empty()) out["shapes"] = spec::shapes_to_json(plan.shapes);
  out["world_size"] = plan.world_size;
  out["global_batch"] = plan.global_batch;
  out["num_microbatches"] = plan.num_microbatches;
  out["precision"] = spec::to_text(plan.precision);
  if (const auto communication = spec::communication_to_json(plan.communication);
      !communication.empty())
    out["communication"] = communication;
  out["pipeline"] = {{"degree", plan.pipeline.degree},
                     {"schedule", to_text(plan.pipeline.schedule)},
                     {"layers_per_stage", plan.pipeline.layers_per_stage}};
  out["layers"] = layers_to_json(plan.layers);
  if (!plan.search.is_null()) out["search"] = plan.search;
  return out;
}

std::string plan_to_text(const Plan& plan) {
  std::string out;
  const OrderedJson json = plan_to_json(plan);
  for (const auto& item : json.items()) {
    const std::string& key = item.key();
    const OrderedJson& value = item.value();
    out += (out.empty() ? "  \"" : ",\n  \"") + key + "\": ";
    out += key == "layers"   ? groups_by_line(value)
           : key == "search" ? indented(value)
                             : on_one_line(value);
  }
  return "{\n" + out + "\n}\n";
}

Plan read_plan(const std::filesystem::path& path) {
  return plan_from_json(read_json_file(path), path.string());
}

void write_plan(const std::filesystem::path& path, const Plan& plan) {
  write_file_atomically(path, plan_to_text(plan));
}

}  // namespace galvatron::plan
