#include "galvatron/search/search_inputs.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::search {
namespace {

std::vector<int> types_of_layers(const spec::ModelSpec& model) {
  std::vector<int> types;
  for (const spec::LayerSpec& layer : model.layers) types.push_back(layer.type);
  return types;
}

}  // namespace

SearchInputs::SearchInputs(const cost::CostInputs& inputs, const SearchOptions& options)
    : inputs_(inputs),
      options_(options),
      hardware_(inputs.hardware),
      ranges_(types_of_layers(inputs.model)) {
  hardware_.memory_reserve = options.memory_reserve.value_or(hardware_.memory_reserve);
  if (options_.world_size == 0) options_.world_size = inputs.hardware.world_size;
  if (options_.global_batches.empty()) options_.global_batches = {inputs.job.global_batch};
  if (options_.world_size < 1) {
    throw ConfigError("[search] --world-size ", options_.world_size, " must be at least 1");
  }
  set_memory(options_.memory);
  check_seq_length();
}

void SearchInputs::set_memory(Bytes memory) {
  if (memory.value < 1) throw ConfigError("[search] --memory must be positive");
  options_.memory = memory;
}

void SearchInputs::check_seq_length() const {
  const std::int64_t length = inputs_.job.seq_length;
  const std::int64_t fixed = inputs_.model.fixed_seq_length;
  if (fixed > 0 && length != fixed) {
    throw ConfigError("[search] --seq-length ", length, ": an image of model '", inputs_.model.name,
                      "' has ", fixed, " tokens");
  }
  if (fixed == 0 && (length < 1 || length > inputs_.model.max_positions)) {
    throw ConfigError("[search] --seq-length ", length, " is outside 1 .. ",
                      inputs_.model.max_positions, ", the positions of model '", inputs_.model.name,
                      "'");
  }
}

cost::CostInputs SearchInputs::of_batch(std::int64_t global_batch) const {
  spec::JobSpec job = inputs_.job;
  job.global_batch = global_batch;
  return {inputs_.model, job, hardware_, inputs_.profile, inputs_.factors};
}

const SearchInputs::Strategies& SearchInputs::strategies(int ranks_per_stage) {
  auto [it, added] = strategies_.try_emplace(ranks_per_stage);
  if (!added) return it->second;
  it->second = layer_candidates(options_.space, inputs_.model, ranks_per_stage,
                                inputs_.job.seq_length, hardware_.ranks_per_node);
  if (std::any_of(it->second.begin(), it->second.end(),
                  [](const auto& row) { return row.empty(); })) {
    it->second.clear();
  }
  return it->second;
}

}  // namespace galvatron::search
