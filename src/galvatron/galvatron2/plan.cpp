#include "galvatron/galvatron2/plan.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::galvatron2 {
namespace {

constexpr int kMaxDegree = 1 << 20;
constexpr int kMaxLayers = 1 << 16;

[[noreturn]] void fail_plan(const std::string& source, const std::string& problem) {
  throw ConfigError("[galvatron2 plan] ", source, ": ", problem);
}

// Python's int() takes " 1".
std::string without_blanks(const std::string& word) {
  const std::size_t begin = word.find_first_not_of(' '), end = word.find_last_not_of(' ');
  return begin == std::string::npos ? "" : word.substr(begin, end - begin + 1);
}

// "1,1,2" of one key.
std::vector<int> read_list(JsonReader& reader, const std::string& key, int min, int max) {
  std::vector<int> out;
  const std::string text = reader.get_string(key);
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = without_blanks(text.substr(begin, end - begin));
    const bool digits = !word.empty() && word.size() <= 9 &&
                        word.find_first_not_of("0123456789") == std::string::npos;
    const int value = digits ? std::stoi(word) : -1;
    if (!digits || value < min || value > max) {
      fail_plan(reader.source(), fmt::format("key '{}' holds '{}', not a number of {} .. {}", key,
                                             word.substr(0, 40), min, max));
    }
    out.push_back(value);
    if (out.size() > static_cast<std::size_t>(kMaxLayers)) {
      fail_plan(reader.source(), "key '" + key + "' is too long");
    }
    begin = end + 1;
  }
  return out;
}

std::vector<int> read_layer_list(JsonReader& reader, const std::string& key, std::size_t count,
                                 bool required) {
  if (!required && !reader.has(key)) {
    reader.ignore(key);
    return std::vector<int>(count, 0);
  }
  std::vector<int> out = read_list(reader, key, 0, 1);
  if (out.size() != count) {
    fail_plan(reader.source(),
              fmt::format("key '{}' has {} entries, tp_sizes_enc {}", key, out.size(), count));
  }
  return out;
}

// Later searches write degrees of TP and of Ulysses side by side, and every key by another name.
constexpr std::array<std::pair<const char*, const char*>, 5> kLaterNames = {
    {{"pp_deg", "pp_size"},
     {"dp_types_enc", "dp_type_enc"},
     {"checkpoint", "checkpoint_enc"},
     {"cp_sizes_enc", "cp_size_enc"},
     {"vcp", "embedding_lmhead_cp_size"}}};

// One degree, and whether it is Ulysses'.
std::pair<int, int> one_degree(int tp, int ulysses, const std::string& source) {
  if (tp > 1 && ulysses > 1) {
    fail_plan(source, fmt::format("a layer has both TP {} and Ulysses {}; one of them is to be 1",
                                  tp, ulysses));
  }
  return {std::max(tp, ulysses), ulysses > 1 ? 1 : 0};
}

// What is implied by the others, and what the search thought of the plan, is left away.
Json with_usual_names(const Json& written, const std::string& source) {
  JsonReader reader(written, source);
  Json out = Json::object();
  for (const auto& [usual, later] : kLaterNames) {
    if (reader.has(later)) out[usual] = reader.get(later);
  }
  for (const char* key :
       {"global_bsz", "chunks", "pp_division", "pipeline_type", "world_size", "default_dp_type"}) {
    if (reader.has(key)) out[key] = reader.get(key);
  }
  const std::vector<int> tp = read_list(reader, "tp_size_enc", 1, kMaxDegree);
  const std::vector<int> ulysses = read_list(reader, "sp_size_enc", 1, kMaxDegree);
  if (tp.size() != ulysses.size()) {
    fail_plan(source, fmt::format("key 'sp_size_enc' has {} entries, tp_size_enc {}",
                                  ulysses.size(), tp.size()));
  }
  std::vector<int> degrees, flags;
  for (std::size_t i = 0; i < tp.size(); ++i) {
    const auto [degree, flag] = one_degree(tp[i], ulysses[i], source);
    degrees.push_back(degree), flags.push_back(flag);
  }
  out["tp_sizes_enc"] = fmt::format("{}", fmt::join(degrees, ","));
  out["use_sp"] = fmt::format("{}", fmt::join(flags, ","));
  out["tp_consecutive_flags"] =
      fmt::format("{}", fmt::join(std::vector<int>(degrees.size(), 1), ","));
  const std::vector<int> replicas = read_list(reader, "dp_size_enc", 1, kMaxDegree);
  const std::int64_t stages = reader.get_int("pp_size", 1, kMaxDegree);
  if (!out.contains("world_size")) out["world_size"] = stages * replicas[0] * degrees[0];
  const auto vocabulary = [&](const char* key) {
    return static_cast<int>(reader.get_int_or(key, 1, 1, kMaxDegree));
  };
  std::tie(out["vtp"], out["vsp"]) = one_degree(vocabulary("embedding_lmhead_tp_size"),
                                                vocabulary("embedding_lmhead_sp_size"), source);
  const std::string vocabulary_zero =
      reader.get_choice_or("embedding_lmhead_dp_type", "ddp", {"ddp", "zero2", "zero3"});
  out["vocab_sdp"] = vocabulary_zero == "zero3" ? 1 : 0;
  for (const char* key : {"throughput", "time", "embedding_lmhead_dp_size"}) reader.ignore(key);
  reader.finish();
  return out;
}

std::vector<Strategy> read_layers(JsonReader& reader) {
  const std::vector<int> degrees = read_list(reader, "tp_sizes_enc", 1, kMaxDegree);
  const std::size_t count = degrees.size();
  const auto zero3 = read_layer_list(reader, "dp_types_enc", count, true);
  const auto ulysses = read_layer_list(reader, "use_sp", count, false);
  const auto recompute = read_layer_list(reader, "checkpoint", count, false);
  const auto consecutive = read_layer_list(reader, "tp_consecutive_flags", count, false);
  std::vector<Strategy> layers;
  for (std::size_t i = 0; i < count; ++i) {
    layers.push_back({degrees[i], ulysses[i] == 1 && degrees[i] > 1, zero3[i] == 1,
                      recompute[i] == 1, consecutive[i] == 1 || ulysses[i] == 1});
  }
  return layers;
}

int parse_default_zero(const std::string& name) {
  return name == "ddp" ? 0 : name == "zero2" ? 2 : 3;
}

std::string zero_name(int zero_stage) {
  return zero_stage == 0 ? "ddp" : zero_stage == 2 ? "zero2" : "zero3";
}

Strategy read_vocabulary(JsonReader& reader) {
  Strategy out;
  out.degree = static_cast<int>(reader.get_int_or("vtp", 1, 1, kMaxDegree));
  out.ulysses = reader.get_int_or("vsp", 0, 0, 1) == 1 && out.degree > 1;
  const bool searched = reader.has("embed_sdp"), run = reader.has("vocab_sdp");
  const auto embed = reader.get_int_or("embed_sdp", 0, 0, 1);
  const auto vocab = reader.get_int_or("vocab_sdp", 0, 0, 1);
  if (searched && run && embed != vocab) {
    fail_plan(reader.source(),
              fmt::format("embed_sdp {} and vocab_sdp {} contradict each other", embed, vocab));
  }
  out.zero3 = (searched ? embed : vocab) == 1;
  return out;
}

// Keys of degrees that we do not have.
void require_all_one(JsonReader& reader, const std::string& key) {
  if (!reader.has(key)) return reader.ignore(key);
  for (const int value : read_list(reader, key, 1, kMaxDegree)) {
    if (value != 1) fail_plan(reader.source(), "key '" + key + "' holds a degree other than 1");
  }
}

void check_shape(const Plan& plan, const std::string& source) {
  if (plan.world_size % plan.pp_degree != 0) {
    fail_plan(source, fmt::format("pp_deg {} does not divide world_size {}", plan.pp_degree,
                                  plan.world_size));
  }
  const auto total =
      std::accumulate(plan.layers_per_stage.begin(), plan.layers_per_stage.end(), std::int64_t{0});
  if (static_cast<int>(plan.layers_per_stage.size()) != plan.pp_degree ||
      total != static_cast<std::int64_t>(plan.layers.size())) {
    fail_plan(source, fmt::format("pp_division {} does not give {} stages of {} layers in all",
                                  fmt::join(plan.layers_per_stage, ","), plan.pp_degree,
                                  plan.layers.size()));
  }
  const auto check_degree = [&](int degree, const char* key) {
    if (plan.ranks_per_stage() % degree != 0) {
      fail_plan(source, fmt::format("{} {} does not divide the {} ranks of a stage", key, degree,
                                    plan.ranks_per_stage()));
    }
  };
  for (const Strategy& layer : plan.layers) check_degree(layer.degree, "tp_sizes_enc");
  check_degree(plan.vocabulary.degree, "vtp");
}

template <typename Value>
std::string join_layers(const Plan& plan, Value value) {
  std::vector<int> numbers;
  for (const Strategy& layer : plan.layers) numbers.push_back(value(layer));
  return fmt::format("{}", fmt::join(numbers, ","));
}

plan::LayerStrategy our_strategy(const Plan& plan, const Strategy& strategy) {
  plan::LayerStrategy out;
  out.tp_degree = strategy.tp_degree();
  out.ulysses_degree = strategy.ulysses_degree();
  const bool one_way = out.tp_degree == 1 || out.tp_degree == plan.ranks_per_stage();
  out.tp_consecutive = strategy.consecutive || one_way;
  out.zero_stage = strategy.zero3 ? 3 : plan.default_zero_stage;
  out.recompute = strategy.recompute ? plan::Recompute::kFull : plan::Recompute::kNone;
  return out;
}

// The default of ZeRO of a plan: the only stage beside 3. Stages of layers without data
// parallelism mean nothing.
int default_zero_of(const plan::Plan& plan) {
  std::optional<int> found;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const int stage = plan.layers[i].zero_stage;
    if (stage == 3) continue;
    if (stage == 1) {
      throw ConfigError("[galvatron2 plan] layer ", i,
                        " has zero_stage 1, which Galvatron-2 does "
                        "not know");
    }
    if (found && *found != stage) {
      throw ConfigError("[galvatron2 plan] layer ", i, " has zero_stage ", stage,
                        ", an earlier one ", *found, "; Galvatron-2 knows one beside 3");
    }
    found = stage;
  }
  return found.value_or(2);
}

Strategy their_strategy(const plan::LayerStrategy& strategy, std::size_t layer) {
  const auto refuse = [&](const std::string& what) {
    throw ConfigError("[galvatron2 plan] layer ", layer, " (", to_text(strategy), ") has ", what,
                      ", which Galvatron-2 cannot express");
  };
  if (strategy.tp_degree > 1 && strategy.ulysses_degree > 1) refuse("both TP and Ulysses");
  if (strategy.recompute == plan::Recompute::kSelective) refuse("selective recompute");
  if (strategy.shard_degree != 0) refuse("a shard_degree");
  if (strategy.cp_degree != 1 || strategy.ep_degree != 1) refuse("context or expert parallelism");
  return {std::max(strategy.tp_degree, strategy.ulysses_degree), strategy.ulysses_degree > 1,
          strategy.zero_stage == 3, strategy.recompute == plan::Recompute::kFull,
          strategy.tp_consecutive};
}

}  // namespace

bool has_later_names(const Json& plan) {
  return plan.is_object() && plan.contains("pp_size") && plan.contains("tp_size_enc") &&
         plan.contains("sp_size_enc");
}

std::string to_text(const Strategy& strategy) {
  plan::LayerStrategy like;
  like.tp_degree = strategy.tp_degree();
  like.ulysses_degree = strategy.ulysses_degree();
  like.tp_consecutive = strategy.consecutive;
  like.zero_stage = strategy.zero3 ? 3 : 0;
  like.recompute = strategy.recompute ? plan::Recompute::kFull : plan::Recompute::kNone;
  return to_text(like);
}

int count_transitions(const Plan& plan) {
  int count = 0;
  for (std::size_t i = 1; i < plan.layers.size(); ++i) {
    if (!plan.layers[i].same_layout(plan.layers[i - 1])) ++count;
  }
  return count;
}

std::vector<int> default_stages(int num_layers, int pp_degree) {
  std::vector<int> stages(static_cast<std::size_t>(pp_degree), num_layers / pp_degree);
  stages.back() += num_layers % pp_degree;
  return stages;
}

Plan plan_from_json(const Json& written, const std::string& source, int world_size) {
  const Json json = has_later_names(written) ? with_usual_names(written, source) : written;
  JsonReader reader(json, source);
  Plan plan;
  const auto in_file = reader.get_int_or("world_size", 0, 1, kMaxDegree);
  if (in_file > 0 && world_size > 0 && in_file != world_size) {
    fail_plan(source, fmt::format("is for world_size {}, not {}", in_file, world_size));
  }
  plan.world_size = in_file > 0 ? static_cast<int>(in_file) : world_size;
  if (plan.world_size == 0) fail_plan(source, "has no world_size; say it with --world-size");
  plan.pp_degree = static_cast<int>(reader.get_int("pp_deg", 1, kMaxDegree));
  plan.layers = read_layers(reader);
  plan.global_batch = reader.get_int("global_bsz", 1, std::int64_t{1} << 40);
  plan.num_microbatches = static_cast<int>(reader.get_int("chunks", 1, 1 << 30));
  const auto num_layers = static_cast<int>(plan.layers.size());
  if (plan.pp_degree > num_layers) {
    fail_plan(source,
              fmt::format("pp_deg {} is more than the {} layers", plan.pp_degree, num_layers));
  }
  plan.layers_per_stage = default_stages(num_layers, plan.pp_degree);
  if (reader.has("pp_division")) {
    plan.layers_per_stage = read_list(reader, "pp_division", 1, kMaxLayers);
  }
  reader.ignore("pp_division");
  const std::string schedule =
      reader.get_choice_or("pipeline_type", "gpipe", {"gpipe", "pipedream_flush"});
  plan.schedule = schedule == "gpipe" ? plan::ScheduleKind::kGPipe : plan::ScheduleKind::k1F1B;
  plan.default_zero_stage =
      parse_default_zero(reader.get_choice_or("default_dp_type", "ddp", {"ddp", "zero2", "zero3"}));
  plan.vocabulary = read_vocabulary(reader);
  for (const char* key : {"cp_sizes_enc", "ep_sizes_enc", "tp_of_ep_sizes_enc"}) {
    require_all_one(reader, key);
  }
  reader.get_int_or("vcp", 1, 1, 1);
  reader.finish();
  check_shape(plan, source);
  return plan;
}

Plan read_plan(const std::filesystem::path& path, int world_size) {
  return plan_from_json(read_json_file(path), path.string(), world_size);
}

OrderedJson plan_to_json(const Plan& plan) {
  OrderedJson json;
  json["pp_deg"] = plan.pp_degree;
  json["tp_sizes_enc"] = join_layers(plan, [](const auto& layer) { return layer.degree; });
  json["tp_consecutive_flags"] =
      join_layers(plan, [](const auto& layer) { return int{layer.consecutive}; });
  json["dp_types_enc"] = join_layers(plan, [](const auto& layer) { return int{layer.zero3}; });
  json["use_sp"] = join_layers(plan, [](const auto& layer) { return int{layer.ulysses}; });
  json["checkpoint"] = join_layers(plan, [](const auto& layer) { return int{layer.recompute}; });
  json["world_size"] = plan.world_size;
  json["global_bsz"] = plan.global_batch;
  json["chunks"] = plan.num_microbatches;
  json["pp_division"] = fmt::format("{}", fmt::join(plan.layers_per_stage, ","));
  json["pipeline_type"] = plan.schedule == plan::ScheduleKind::kGPipe ? "gpipe" : "pipedream_flush";
  json["default_dp_type"] = zero_name(plan.default_zero_stage);
  json["vtp"] = plan.vocabulary.degree;
  json["vsp"] = int{plan.vocabulary.ulysses};
  // Its search writes the first, its runtime reads the second.
  json["embed_sdp"] = int{plan.vocabulary.zero3};
  json["vocab_sdp"] = int{plan.vocabulary.zero3};
  return json;
}

void write_plan(const std::filesystem::path& path, const Plan& plan) {
  write_json_file(path, plan_to_json(plan));
}

plan::Plan to_our_plan(const Plan& plan, const std::string& model, spec::Precision precision) {
  plan::Plan out;
  out.model = model;
  out.world_size = plan.world_size;
  out.global_batch = plan.global_batch;
  out.num_microbatches = plan.num_microbatches;
  out.precision = precision;
  out.pipeline = {plan.pp_degree, plan.schedule, plan.layers_per_stage};
  ++out.pipeline.layers_per_stage.front();
  ++out.pipeline.layers_per_stage.back();
  out.layers.push_back(our_strategy(plan, plan.vocabulary));
  for (const Strategy& layer : plan.layers) {
    out.layers.push_back(our_strategy(plan, layer));
  }
  out.layers.push_back(our_strategy(plan, plan.vocabulary));
  return out;
}

bool has_schedule(plan::ScheduleKind kind) {
  return kind == plan::ScheduleKind::kGPipe || kind == plan::ScheduleKind::k1F1B;
}

Plan from_our_plan(const plan::Plan& plan) {
  if (plan.layers.size() < 3) {
    throw ConfigError("[galvatron2 plan] a plan of ", plan.layers.size(), " layers has no blocks");
  }
  const plan::ScheduleTraits& schedule = plan::traits(plan.pipeline.schedule);
  if (schedule.several_stages()) {
    throw ConfigError("[galvatron2 plan] the plan has ", plan.pipeline.stages_per_rank(),
                      " stages per pipeline rank (schedule ", schedule.name,
                      "); Galvatron-2 has one: search with --schedule 1f1b");
  }
  if (!has_schedule(plan.pipeline.schedule)) {
    throw ConfigError("[galvatron2 plan] the plan has schedule ", schedule.name,
                      "; Galvatron-2 has gpipe and 1f1b: search with --schedule 1f1b");
  }
  Plan out;
  out.world_size = plan.world_size;
  out.pp_degree = plan.pipeline.degree;
  out.global_batch = plan.global_batch;
  out.num_microbatches = plan.num_microbatches;
  out.schedule = plan.pipeline.schedule;
  out.default_zero_stage = default_zero_of(plan);
  out.layers_per_stage = plan.pipeline.layers_per_stage;
  --out.layers_per_stage.front();
  --out.layers_per_stage.back();
  for (const int layers : out.layers_per_stage) {
    if (layers < 1) {
      throw ConfigError(
          "[galvatron2 plan] a stage holds nothing but embedding or head, which "
          "Galvatron-2 cannot express");
    }
  }
  out.vocabulary = their_strategy(plan.layers.front(), 0);
  if (!out.vocabulary.consecutive) {
    throw ConfigError(
        "[galvatron2 plan] the embedding (", to_text(plan.layers.front()),
        ") has TP ranks that are no neighbours; Galvatron-2 knows that of blocks only");
  }
  const std::size_t head = plan.layers.size() - 1;
  if (!(their_strategy(plan.layers[head], head) == out.vocabulary)) {
    throw ConfigError("[galvatron2 plan] embedding (", to_text(plan.layers.front()), ") and head (",
                      to_text(plan.layers[head]),
                      ") differ; Galvatron-2 has one strategy for both");
  }
  for (std::size_t i = 1; i < head; ++i) out.layers.push_back(their_strategy(plan.layers[i], i));
  return out;
}

}  // namespace galvatron::galvatron2
