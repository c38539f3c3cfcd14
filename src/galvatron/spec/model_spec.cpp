#include "galvatron/spec/model_spec.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>

#include "galvatron/base/error.h"
#include "galvatron/spec/span_corruption.h"

namespace galvatron::spec {
namespace {

bool is_block(const LayerSpec& layer) { return layer.kind == LayerKind::kBlock; }

}  // namespace

std::string to_text(Family family) {
  constexpr std::array<const char*, 13> kNames = {"gpt",     "llama",      "bert", "t5",   "vit",
                                                  "swin",    "phi",        "neox", "olmo", "gemma",
                                                  "roberta", "distilbert", "deit"};
  return kNames.at(static_cast<std::size_t>(family));
}

std::string to_text(LayerKind kind) {
  constexpr std::array<const char*, 4> kNames = {"embedding", "block", "merge", "head"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string to_text(Task task) {
  constexpr std::array<const char*, 4> kNames = {"next-token", "masked-tokens",
                                                 "sequence-to-sequence", "image-classes"};
  return kNames.at(static_cast<std::size_t>(task));
}

std::int64_t StreamSpec::length(std::int64_t seq_length) const {
  switch (length_kind) {
    case Length::kSequence:
      return seq_length;
    case Length::kTarget:
      return span_corruption(seq_length).targets;
    case Length::kFixed:
      return fixed_length;
  }
  return 0;
}

std::int64_t LayerSpec::num_params() const {
  std::int64_t total = 0;
  for (const ParamSpec& param : params) total += param.numel();
  return total;
}

std::int64_t LayerSpec::vocab_size() const {
  for (const ParamSpec& param : params) {
    if (param.split.divided()) return param.shape[static_cast<std::size_t>(param.split.dim)];
  }
  return 0;
}

bool LayerSpec::is_block_matrix(const ParamSpec& param) const {
  const bool middle = kind == LayerKind::kBlock || kind == LayerKind::kMerge;
  const bool linear = param.name.ends_with(".weight") && !param.name.ends_with("_bias.weight");
  return middle && linear && param.shape.size() == 2 && param.tied_name.empty();
}

std::string LayerSpec::full_name(const ParamSpec& param) const {
  return param.tied_name.empty() ? name + "." + param.name : param.tied_name;
}

std::int64_t ModelSpec::num_params() const {
  std::int64_t total = 0;
  std::set<std::string> seen;
  for (const LayerSpec& layer : layers) {
    for (const ParamSpec& param : layer.params) {
      if (seen.insert(layer.full_name(param)).second) total += param.numel();
    }
  }
  return total;
}

int ModelSpec::num_blocks() const {
  return static_cast<int>(std::count_if(layers.begin(), layers.end(), is_block));
}

const LayerSpec& ModelSpec::first_block() const {
  const auto block = std::find_if(layers.begin(), layers.end(), is_block);
  GALV_CHECK(block != layers.end(), name, " has no block");
  return *block;
}

const std::vector<StreamSpec>& ModelSpec::inputs_of(int index) const {
  static const std::vector<StreamSpec> kNone;
  return index == 0 ? kNone : layer(index - 1).outputs;
}

const std::vector<StreamSpec>& ModelSpec::streams_of(int index) const {
  const LayerSpec& spec = layer(index);
  return spec.outputs.empty() ? inputs_of(index) : spec.outputs;
}

std::int64_t ModelSpec::shortest_sequence(int index, std::int64_t seq_length) const {
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
  for (const auto* streams : {&inputs_of(index), &layer(index).outputs}) {
    for (const StreamSpec& stream : *streams) {
      const bool known = seq_length > 0 || stream.length_kind == StreamSpec::Length::kFixed;
      if (known) shortest = std::min(shortest, stream.length(seq_length));
    }
  }
  return shortest;
}

std::int64_t ModelSpec::choose_seq_length(std::int64_t wish, std::int64_t usual) const {
  if (fixed_seq_length > 0) return fixed_seq_length;
  return wish > 0 ? wish : std::min(usual, max_positions);
}

std::vector<int> ModelSpec::tied_layers() const {
  std::map<std::string, std::vector<int>> users;
  for (int i = 0; i < num_layers(); ++i) {
    for (const ParamSpec& param : layer(i).params) {
      if (!param.tied_name.empty() && param.split.divided()) users[param.tied_name].push_back(i);
    }
  }
  GALV_CHECK(users.size() <= 1, name, " ties more than one divided parameter");
  return users.empty() ? std::vector<int>{} : users.begin()->second;
}

std::vector<std::string> ModelSpec::layer_names() const {
  std::vector<std::string> names;
  for (const LayerSpec& layer : layers) names.push_back(layer.name);
  return names;
}

std::vector<std::string> ModelSpec::type_names() const {
  std::vector<std::string> names;
  for (const LayerSpec& layer : layers) {
    if (layer.type < static_cast<int>(names.size())) continue;
    const std::string base = to_text(layer.kind);
    std::string name = base;
    for (int n = 2; std::count(names.begin(), names.end(), name) > 0; ++n) {
      name = base + std::to_string(n);
    }
    names.push_back(name);
  }
  return names;
}

int ModelSpec::first_layer_of_type(int type) const {
  for (int i = 0; i < num_layers(); ++i) {
    if (layer(i).type == type) return i;
  }
  GALV_CHECK(false, "no layer of type ", type, " in ", name);
  return -1;
}

}  // namespace galvatron::spec
