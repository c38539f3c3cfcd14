// A question as all of its shapes see it: inputs by batch, strategies by ranks of a stage.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "galvatron/cost/cost_model.h"
#include "galvatron/search/search.h"
#include "galvatron/search/solvers/layer_ranges.h"

namespace galvatron::search {

class SearchInputs {
 public:
  using Strategies = std::vector<std::vector<plan::LayerStrategy>>;  // [layer type]

  // `inputs` outlives this. ConfigError for a world, memory or sequence that cannot be.
  SearchInputs(const cost::CostInputs& inputs, const SearchOptions& options);

  // World size and batches filled in.
  const SearchOptions& options() const { return options_; }
  const spec::ModelSpec& model() const { return inputs_.model; }
  // ConfigError unless positive.
  void set_memory(Bytes memory);
  void look_for_faster_than(double ms_per_sample) { options_.faster_than = ms_per_sample; }
  void look_for_closest_miss_below(Bytes need) { options_.closest_miss_below = need; }
  int num_layers() const { return inputs_.model.num_layers(); }
  const LayerRanges& ranges() const { return ranges_; }
  // With the reserve that the user gave.
  cost::CostInputs of_batch(std::int64_t global_batch) const;
  // The space's strategies of stages of so many ranks; empty when some layer type has none.
  const Strategies& strategies(int ranks_per_stage);

 private:
  void check_seq_length() const;

  const cost::CostInputs& inputs_;
  SearchOptions options_;
  profiles::HardwareProfile hardware_;
  LayerRanges ranges_;
  std::map<int, Strategies> strategies_;
};

}  // namespace galvatron::search
