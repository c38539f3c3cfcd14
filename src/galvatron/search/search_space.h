// Which plans a search considers: what the user allows, what the model and the ranks allow.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/plan/layer_strategy.h"
#include "galvatron/plan/schedule.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::search {

// One dimension of the search: everything, unless `only` is not empty; never what `never` holds.
struct Allowed {
  std::vector<int> only;
  std::vector<int> never;
  int least = 0;  // 0: no limit
  int most = 0;   // 0: no limit
  bool has(int value) const;
};

// zero_stages, recomputes and schedules by their number: the enumerators' values.
struct SearchSpace {
  Allowed pp_degrees;
  Allowed tp_degrees;
  Allowed tp_consecutive;  // 0, 1
  Allowed ulysses_degrees;
  Allowed zero_stages;
  Allowed recomputes;
  Allowed schedules;
  Allowed num_microbatches;
  bool uneven_stages = true;  // else balanced chunks of the layers
};

// Adds one constraint of the command line: "tp_degree=1,2", "tp_degree<=2", "recompute=full".
// `allow`: the values are the only ones (or the limit holds); else they are forbidden. ConfigError.
void add_constraint(SearchSpace& space, const std::string& text, bool allow);

// Divisors of the world that are at most the number of layers, ascending.
std::vector<int> pipeline_degrees(const SearchSpace& space, int world_size, int num_layers);

// For every size that a largest microbatch can have, the fewest microbatches of at most that size,
// ascending: more of the same size only add work. Values of `only` are taken as they are.
std::vector<int> microbatch_counts(const SearchSpace& space, std::int64_t global_batch);

// [type]: every strategy that check_layer_strategy() accepts for a stage of so many ranks.
// Where TP takes all ranks ZeRO could shard little more than norms: only its lowest allowed stage
// is a candidate there. TP on ranks that are no neighbours only where the stage `crosses_nodes`
// (inside one all links are taken to be alike) and without Ulysses, or where nothing else is
// allowed.
std::vector<std::vector<plan::LayerStrategy>> layer_candidates(const SearchSpace& space,
                                                               const spec::ModelSpec& model,
                                                               int ranks_per_stage,
                                                               std::int64_t seq_length,
                                                               bool crosses_nodes);

}  // namespace galvatron::search
