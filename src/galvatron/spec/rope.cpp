#include "galvatron/spec/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"

namespace galvatron::spec {
namespace {

constexpr double kMaxFactor = 1e6;
const std::vector<std::string> kVariants = {"default", "linear", "dynamic",
                                            "llama3",  "yarn",   "longrope"};

// The rope section of a config, whichever form it has, and the numbers around it.
struct RopeConfig {
  Json section = Json::object();
  std::string type = "default";
  double theta = 10000;
  double partial = 1;         // of a head's dims that are turned
  std::int64_t num_dims = 0;  // that are turned
  std::int64_t max_positions = 0;
  std::int64_t original_max_positions = 0;
  std::string source;
};

std::vector<double> plain_frequencies(const RopeConfig& rope) {
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < rope.num_dims; i += 2) {
    const double exponent = static_cast<double>(i) / static_cast<double>(rope.num_dims);
    frequencies.push_back(1 / std::pow(rope.theta, exponent));
  }
  return frequencies;
}

double read_factor(const RopeConfig& rope, JsonReader& reader) {
  const double implied =
      static_cast<double>(rope.max_positions) / static_cast<double>(rope.original_max_positions);
  const bool may_be_implied = rope.type == "yarn" || rope.type == "longrope";
  if (may_be_implied && !reader.has("factor")) return implied;
  return reader.get_number("factor", 1e-6, kMaxFactor);
}

RopeSpec linear_rope(const RopeConfig& rope, JsonReader& reader) {
  RopeSpec spec{plain_frequencies(rope)};
  const double factor = read_factor(rope, reader);
  for (double& frequency : spec.inverse_frequencies) frequency /= factor;
  return spec;
}

// Long wavelengths are stretched by `factor`, short ones kept, those between interpolated.
RopeSpec llama3_rope(const RopeConfig& rope, JsonReader& reader) {
  const double factor = read_factor(rope, reader);
  const double low = reader.get_number("low_freq_factor", 1e-6, kMaxFactor);
  const double high = reader.get_number("high_freq_factor", 1e-6, kMaxFactor);
  if (high <= low) {
    throw ConfigError("[model] ", rope.source, ": high_freq_factor ", high,
                      " must be greater than low_freq_factor ", low);
  }
  const auto context = static_cast<double>(rope.original_max_positions);
  RopeSpec spec{plain_frequencies(rope)};
  for (double& frequency : spec.inverse_frequencies) {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < context / high) continue;
    if (wavelength > context / low) {
      frequency /= factor;
      continue;
    }
    const double smooth = (context / wavelength - low) / (high - low);
    frequency = (1 - smooth) * frequency / factor + smooth * frequency;
  }
  return spec;
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

double read_yarn_attention_factor(JsonReader& reader, double factor) {
  if (reader.has("attention_factor")) return reader.get_number("attention_factor", 0, kMaxFactor);
  const double mscale = reader.get_number_or("mscale", 0, 0, kMaxFactor);
  const double mscale_all_dim = reader.get_number_or("mscale_all_dim", 0, 0, kMaxFactor);
  if (mscale == 0 || mscale_all_dim == 0) return yarn_scale(factor, 1);
  return yarn_scale(factor, mscale) / yarn_scale(factor, mscale_all_dim);
}

// The index of the frequency that turns `rotations` times over the original context (Peng et al.
// 2023).
double yarn_index(const RopeConfig& rope, double rotations) {
  const double turns =
      static_cast<double>(rope.original_max_positions) / (rotations * 2 * std::numbers::pi);
  return static_cast<double>(rope.num_dims) * std::log(turns) / (2 * std::log(rope.theta));
}

// Frequencies below `low` are kept, above `high` divided by factor, with a ramp between.
RopeSpec yarn_rope(const RopeConfig& rope, JsonReader& reader) {
  const double factor = read_factor(rope, reader);
  // Zero means "the default" in transformers, as absent does.
  const double beta_fast = reader.get_number_or("beta_fast", 0, 0, kMaxFactor);
  const double beta_slow = reader.get_number_or("beta_slow", 0, 0, kMaxFactor);
  double low = yarn_index(rope, beta_fast == 0 ? 32 : beta_fast);
  double high = yarn_index(rope, beta_slow == 0 ? 1 : beta_slow);
  if (reader.get_bool_or("truncate", true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rope.num_dims - 1));
  if (low == high) high += 0.001;
  RopeSpec spec{plain_frequencies(rope), read_yarn_attention_factor(reader, factor)};
  double index = 0;
  for (double& frequency : spec.inverse_frequencies) {
    const double ramp = std::clamp((index++ - low) / (high - low), 0.0, 1.0);
    frequency = frequency / factor * ramp + frequency * (1 - ramp);
  }
  return spec;
}

std::vector<double> read_factors(const RopeConfig& rope, JsonReader& reader,
                                 const std::string& key) {
  std::vector<double> factors;
  for (const Json& value : reader.get_array(key)) {
    if (!value.is_number() || !(value.get<double>() > 0)) {
      throw ConfigError("[model] ", rope.source, ": ", key, " must hold positive numbers, not ",
                        value.dump());
    }
    factors.push_back(value.get<double>());
  }
  if (static_cast<std::int64_t>(factors.size()) != rope.num_dims / 2) {
    throw ConfigError("[model] ", rope.source, ": ", key, " has ", factors.size(), " numbers; ",
                      rope.num_dims, " rotary dims of a head need ", rope.num_dims / 2);
  }
  return factors;
}

// The factors depend on the length of the sequence beyond the original context, so only a model
// that stays within it has one set of frequencies.
RopeSpec longrope(const RopeConfig& rope, JsonReader& reader) {
  if (rope.max_positions > rope.original_max_positions) {
    refuse_feature(rope.source, "rope_type", "'longrope'",
                   " beyond original_max_position_embeddings " +
                       std::to_string(rope.original_max_positions) +
                       "; set max_position_embeddings to at most that");
  }
  const double factor = read_factor(rope, reader);
  const auto context = static_cast<double>(rope.original_max_positions);
  const double computed = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(context));
  RopeSpec spec{plain_frequencies(rope),
                reader.get_number_or("attention_factor", computed, 0, kMaxFactor)};
  const std::vector<double> factors = read_factors(rope, reader, "short_factor");
  for (std::size_t i = 0; i < factors.size(); ++i) spec.inverse_frequencies[i] /= factors[i];
  return spec;
}

Json find_section(const Json& config, const std::string& source) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null() || it->empty()) continue;
    if (!it->is_object()) throw ConfigError("[model] ", source, ": ", key, " must be an object");
    for (const auto& item : it->items()) {
      if (item.value().is_object()) {
        refuse_feature(source, std::string(key) + "." + item.key(), "{...}",
                       "; one rotary embedding must hold for all layers");
      }
    }
    return *it;
  }
  return Json::object();
}

RopeConfig read_rope_config(const Json& config, const std::string& source) {
  RopeConfig rope;
  rope.source = source;
  rope.section = find_section(config, source);
  JsonReader outer(config, source, Nulls::kAbsent);
  JsonReader reader(rope.section, source + ": rope", Nulls::kAbsent);
  const double outer_theta = outer.get_number_or("rope_theta", 10000, 1.000001, 1e12);
  rope.theta = reader.get_number_or("rope_theta", outer_theta, 1.000001, 1e12);
  rope.type = reader.get_string_or("rope_type", reader.get_string_or("type", "default"));
  const double outer_partial = outer.get_number_or("partial_rotary_factor", 1, 0, 1);
  rope.partial = reader.get_number_or("partial_rotary_factor", outer_partial, 0, 1);
  return rope;
}

void set_num_dims(RopeConfig& rope, std::int64_t head_size, RotaryPart part) {
  const std::string partial = Json(rope.partial).dump();
  if (rope.partial != 1 && part == RotaryPart::kWhole) {
    refuse_feature(rope.source, "partial_rotary_factor", partial,
                   " in this family; only 1 is, of phi3 and gpt_neox others too");
  }
  rope.num_dims = static_cast<std::int64_t>(static_cast<double>(head_size) * rope.partial);
  // Pairs: of an odd number transformers turns one more.
  if (rope.num_dims < 1 || rope.num_dims + rope.num_dims % 2 > head_size) {
    throw ConfigError("[model] ", rope.source, ": a partial_rotary_factor of ", partial,
                      " turns no pair of a head of ", head_size);
  }
}

}  // namespace

RopeSpec read_rope(const Json& config, std::int64_t head_size, std::int64_t max_positions,
                   const std::string& source, RotaryPart part) {
  RopeConfig rope = read_rope_config(config, source);
  set_num_dims(rope, head_size, part);
  rope.max_positions = max_positions;
  JsonReader outer(config, source, Nulls::kAbsent);
  JsonReader reader(rope.section, source + ": rope", Nulls::kAbsent);
  const std::string key = "original_max_position_embeddings";
  rope.original_max_positions =
      (outer.has(key) ? outer : reader).get_int_or(key, max_positions, 1, kMaxPositions);
  if (rope.type == "default" || rope.type == "dynamic") return {plain_frequencies(rope)};
  if (rope.type == "linear") return linear_rope(rope, reader);
  if (rope.type == "llama3") return llama3_rope(rope, reader);
  if (rope.type == "yarn") return yarn_rope(rope, reader);
  if (rope.type == "longrope") return longrope(rope, reader);
  refuse_feature(source, "rope_type", "'" + rope.type + "'", did_you_mean(rope.type, kVariants));
}

}  // namespace galvatron::spec
