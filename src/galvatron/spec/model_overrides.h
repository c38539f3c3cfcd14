// Numbers of a model that its user gives beside its config.json: LLaMA-2 7B with 48 layers. They
// are written into the config under the family's own keys, so that all who read it (layers,
// weights, exports, transformers) see one model.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/option.h"

namespace galvatron::spec {

// What is not set stays as it is in the config, but for what follows from the others:
// - where every head has keys and values of its own, num_kv_heads follows num_heads;
// - where head_size is hidden_size / num_heads, it stays so;
// - an intermediate_size that the config states keeps its ratio to hidden_size.
struct ModelOverrides {
  std::optional<std::int64_t> num_layers =
      std::nullopt;  // Transformer blocks; of each of T5's stacks
  std::optional<std::int64_t> hidden_size = std::nullopt;
  std::optional<std::int64_t> num_heads = std::nullopt;
  std::optional<std::int64_t> num_kv_heads = std::nullopt;
  std::optional<std::int64_t> head_size = std::nullopt;
  std::optional<std::int64_t> intermediate_size = std::nullopt;
  std::optional<std::int64_t> vocab_size = std::nullopt;
  std::optional<std::int64_t> max_positions = std::nullopt;  // tokens of the longest sequence
  bool operator==(const ModelOverrides&) const = default;
};

// Heading of the options.
inline constexpr const char* kOverrideOptions =
    "Numbers of the model (default: those of its config)";

// "--num-layers" and the others. `overrides` must outlive the list.
OptionList model_override_options(ModelOverrides& overrides);

// As they stand on a command line: {"--num-layers=48"}.
std::vector<std::string> override_arguments(const ModelOverrides& overrides);

// The first that is given and not among `allowed` ("num-layers"), as "num-heads"; empty: none.
std::string given_override(const ModelOverrides& overrides, const Names& allowed);

}  // namespace galvatron::spec
