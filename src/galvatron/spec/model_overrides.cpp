#include "galvatron/spec/model_overrides.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/config_keys.h"

namespace galvatron::spec {
namespace {

struct OverrideField {
  const char* option;  // "num-layers"
  std::optional<std::int64_t> ModelOverrides::* value;
  ConfigKey ConfigKeys::* keys;
  std::int64_t most;
  const char* help;
};

constexpr std::array kFields = {
    OverrideField{"num-layers", &ModelOverrides::num_layers, &ConfigKeys::num_layers, kMaxBlocks,
                  "Transformer blocks; of T5, in each of its stacks"},
    OverrideField{"hidden-size", &ModelOverrides::hidden_size, &ConfigKeys::hidden_size, kMaxWidth,
                  "Width of the residual stream; of Swin, in its first stage. An intermediate size "
                  "that the config states keeps its ratio"},
    OverrideField{"num-heads", &ModelOverrides::num_heads, &ConfigKeys::num_heads, kMaxWidth,
                  "Attention heads"},
    OverrideField{"num-kv-heads", &ModelOverrides::num_kv_heads, &ConfigKeys::num_kv_heads,
                  kMaxWidth, "Heads of keys and values; as many as heads stay as many as heads"},
    OverrideField{"head-size", &ModelOverrides::head_size, &ConfigKeys::head_size, kMaxWidth,
                  "Width of a head; what is hidden size / heads stays so unless this is given"},
    OverrideField{"intermediate-size", &ModelOverrides::intermediate_size,
                  &ConfigKeys::intermediate_size, 4 * kMaxWidth, "Width inside the MLP"},
    OverrideField{"vocab-size", &ModelOverrides::vocab_size, &ConfigKeys::vocab_size, kMaxVocab,
                  "Tokens of the vocabulary"},
    OverrideField{"max-positions", &ModelOverrides::max_positions, &ConfigKeys::max_positions,
                  kMaxPositions, "Tokens of the longest sequence"},
};

// In sentences and in the name of the model: "num_layers".
std::string name_of(const OverrideField& field) {
  std::string out = field.option;
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

// True where the config says something else, or nothing, under the first key.
bool differs(const Json& config, const ConfigKey& key, std::int64_t value) {
  return std::any_of(key.keys.begin(), key.keys.end(), [&](const char* name) {
    const auto found = config.find(name);
    if (found == config.end() || found->is_null()) return name == key.keys.front();
    return *found != value;
  });
}

bool states(const Json& config, const ConfigKey& key) {
  if (key.keys.empty()) return false;
  const auto found = config.find(key.keys.front());
  return found != config.end() && !found->is_null();
}

void write(Json& config, const ConfigKey& key, std::int64_t value) {
  for (const char* name : key.keys) config[name] = value;
}

// "nearest are 32 and 40": the numbers around `value` for which `fits` holds.
template <typename Fits>
std::string nearest_fitting(std::int64_t value, Fits fits) {
  std::int64_t below = value - 1, above = value + 1;
  while (below > 0 && !fits(below)) --below;
  while (above <= kMaxWidth && !fits(above)) ++above;
  if (below == 0 && above > kMaxWidth) return "no number fits";
  if (below == 0 || above > kMaxWidth)
    return fmt::format("nearest is {}", below == 0 ? above : below);
  return fmt::format("nearest are {} and {}", below, above);
}

// The config's heads and widths with the overrides, checked and written.
class WidthOverride {
 public:
  WidthOverride(const NamedConfig& model, const ConfigKeys& keys, const ModelOverrides& overrides)
      : name_(model.name),
        keys_(keys),
        overrides_(overrides),
        old_(model_from_config(model.config, model.name).first_block().shape) {
    hidden_ = overrides.hidden_size.value_or(old_.hidden_size);
    heads_ = overrides.num_heads.value_or(old_.num_heads);
    const bool one_each = old_.num_kv_heads == old_.num_heads;
    kv_heads_ = overrides.num_kv_heads.value_or(one_each ? heads_ : old_.num_kv_heads);
    head_size_ = overrides.head_size.value_or(old_.head_size);
    head_follows_ = !overrides.head_size && old_.head_size * old_.num_heads == old_.hidden_size;
  }

  void write_to(Json& config) {
    check_kv_heads();
    if (head_follows_) divide_width();
    write(config, keys_.hidden_size, hidden_);
    write(config, keys_.num_heads, heads_);
    if (kv_heads_ != old_.num_kv_heads) write(config, keys_.num_kv_heads, kv_heads_);
    if (head_size_ != old_.head_size) write(config, keys_.head_size, head_size_);
    if (!overrides_.intermediate_size && states(config, keys_.intermediate_size))
      write(config, keys_.intermediate_size, scaled_intermediate());
  }

 private:
  void check_kv_heads() const {
    if (heads_ % kv_heads_ == 0) return;
    const bool change_heads = !overrides_.num_kv_heads;
    const std::string nearest =
        change_heads
            ? nearest_fitting(heads_, [this](std::int64_t n) { return n % kv_heads_ == 0; })
            : nearest_fitting(kv_heads_, [this](std::int64_t n) { return heads_ % n == 0; });
    throw ConfigError("[model] ", name_, ": num_heads ", heads_,
                      " is not a multiple of num_kv_heads ", kv_heads_, "; of ",
                      change_heads ? "num_heads " : "num_kv_heads ", nearest);
  }

  // Rotary embedding turns pairs.
  std::int64_t head_step() const { return old_.rope.inverse_frequencies.empty() ? 1 : 2; }

  void divide_width() {
    if (hidden_ % (heads_ * head_step()) != 0) {
      const bool change_hidden = overrides_.hidden_size.has_value();
      const std::string nearest =
          change_hidden
              ? nearest_fitting(hidden_,
                                [this](std::int64_t n) { return n % (heads_ * head_step()) == 0; })
              : nearest_fitting(heads_, [this](std::int64_t n) {
                  return hidden_ % (n * head_step()) == 0 && n % kv_heads_of(n) == 0;
                });
      throw ConfigError("[model] ", name_, ": hidden_size ", hidden_, " in num_heads ", heads_,
                        head_step() == 1 ? " is no whole head size" : " is no even head size",
                        "; of ", change_hidden ? "hidden_size " : "num_heads ", nearest,
                        keys_.head_size.keys.empty() ? "" : ", or give head_size");
    }
    head_size_ = hidden_ / heads_;
  }

  // What num_kv_heads would be with `heads` heads.
  std::int64_t kv_heads_of(std::int64_t heads) const {
    return kv_heads_ == heads_ && !overrides_.num_kv_heads ? heads : kv_heads_;
  }

  // In the same ratio to the hidden size. Where that is no whole number, the nearest multiple of
  // the power of two, at most 128, that divides the old one: matrices of odd sizes are slow.
  std::int64_t scaled_intermediate() const {
    const std::int64_t product = old_.intermediate_size * hidden_;
    if (product % old_.hidden_size == 0) return product / old_.hidden_size;
    constexpr std::int64_t kLargestStep = 128;
    const std::int64_t step = std::gcd(old_.intermediate_size, kLargestStep);
    const double exact = static_cast<double>(product) / static_cast<double>(old_.hidden_size);
    return std::max<std::int64_t>(1, std::llround(exact / static_cast<double>(step))) * step;
  }

  const std::string& name_;
  const ConfigKeys& keys_;
  const ModelOverrides& overrides_;
  const TransformerShape old_;
  std::int64_t hidden_ = 0, heads_ = 0, kv_heads_ = 0, head_size_ = 0;
  bool head_follows_ = false;
};

void require_key(const NamedConfig& model, Family family, const OverrideField& field) {
  const ConfigKey& key = config_keys(family).*field.keys;
  if (!key.keys.empty()) return;
  throw ConfigError("[model] ", model.name, ": a ", to_text(family), " model has no ",
                    name_of(field), " to set: ", key.why_none);
}

bool is_width(const OverrideField& field) {
  return field.value == &ModelOverrides::hidden_size || field.value == &ModelOverrides::num_heads ||
         field.value == &ModelOverrides::num_kv_heads;
}

}  // namespace

OptionList model_override_options(ModelOverrides& overrides) {
  OptionList list;
  list.group(kOverrideOptions);
  for (const OverrideField& field : kFields)
    list.count(field.option, overrides.*field.value, {1, field.most}, field.help);
  return list;
}

std::vector<std::string> override_arguments(const ModelOverrides& overrides) {
  std::vector<std::string> out;
  for (const OverrideField& field : kFields) {
    if (const auto& value = overrides.*field.value)
      out.push_back(fmt::format("--{}={}", field.option, *value));
  }
  return out;
}

std::string given_override(const ModelOverrides& overrides, const Names& allowed) {
  for (const OverrideField& field : kFields) {
    const bool is_allowed =
        std::find(allowed.begin(), allowed.end(), field.option) != allowed.end();
    if (overrides.*field.value && !is_allowed) return field.option;
  }
  return "";
}

NamedConfig override_config(NamedConfig model, Family family, const ModelOverrides& overrides) {
  const ConfigKeys& keys = config_keys(family);
  NamedConfig out = model;
  std::string changes;
  bool new_width = false;
  for (const OverrideField& field : kFields) {
    const std::optional<std::int64_t> value = overrides.*field.value;
    if (!value) continue;
    require_key(model, family, field);
    if (!differs(model.config, keys.*field.keys, *value)) continue;
    changes += fmt::format("{}{}={}", changes.empty() ? "" : ",", name_of(field), *value);
    // One entry a layer, all of them the same.
    if (field.value == &ModelOverrides::num_layers) out.config.erase("layer_types");
    if (is_width(field)) {
      new_width = true;
    } else {
      write(out.config, keys.*field.keys, *value);
    }
  }
  if (new_width) WidthOverride(out, keys, overrides).write_to(out.config);
  if (!changes.empty()) out.name += "(" + changes + ")";
  return out;
}

}  // namespace galvatron::spec
