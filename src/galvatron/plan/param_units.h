// Which parameters of a layer are stored, sharded, gathered and reduced together, over which ranks,
// and what is shared with other layers: the one rule behind the runtime's buffers and the memory
// and time that are predicted for them.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "galvatron/base/partition.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/spec/optimizer_spec.h"

namespace galvatron::plan {

// A layer has one unit over all ranks of its stage, or under tensor parallelism two: what is
// divided (replicated over the ranks of equal tp rank) and what is not (over the stage). A tied
// parameter is a unit of its own, one per pipeline rank, shared by the layers there that use it,
// and tied to its copies on other pipeline ranks.
struct UnitSpec {
  std::vector<int> params;  // indices into LayerSpec::params
  std::string tied_name;    // empty: the layer's own
  bool tp_divided = false;
  // Tied and not to be divided by TP (T5's relative bias): small, and whole whatever its layers do,
  // so that they need not agree.
  bool never_sharded = false;
  // Tied, and a layer in front on the same pipeline rank has it already: its states and what is
  // done once a step are that layer's; gathers and reductions of every microbatch are each one's.
  bool held_in_front = false;
  bool has_twins = false;  // tied to copies on other pipeline ranks
  // Ranks that hold the same values are `shards` that ZeRO divides them over, side by side, times
  // `copies` of those. What TP does not divide is sharded over as many neighbours as the parts of
  // what it does: shard_degree x tp_degree.
  RankLine replicas, shards, copies;
  std::int64_t elements = 0;  // of the fullest tp rank; padded
  // Those of LayerSpec::is_block_matrix, which lie in front; those of all parameters of two
  // dimensions and more, behind which vectors lie; and the means of rows and columns of these.
  std::int64_t matrix_elements = 0, table_elements = 0, factor_elements = 0;

  bool is_tied() const { return !tied_name.empty(); }
  // That applies, in a layer of `zero_stage`: of one replica nothing is to be divided.
  int zero_stage(int of_layer) const { return never_sharded || replicas.size == 1 ? 0 : of_layer; }
  // Elements whose optimizer states a rank keeps.
  std::int64_t owned(int zero_stage_of_layer) const {
    return elements / slices(zero_stage_of_layer);
  }
  // Ranks that each keep another part of the states.
  std::int64_t slices(int zero_stage_of_layer) const {
    return zero_stage(zero_stage_of_layer) == 0 ? 1 : shards.size;
  }
  // Of all states of an optimizer, on the rank that keeps most: the last one, of `slices` that
  // divide them evenly.
  std::int64_t state_elements(const spec::OptimizerSpec& optimizer, std::int64_t slices) const;
  bool operator==(const UnitSpec&) const = default;
};

// `pp_ranks`: the pipeline rank of every layer of the model. Tied units come first, then what is
// divided, then what is not; each only where it has parameters.
std::vector<UnitSpec> param_units(const spec::ModelSpec& model, int layer, const RankLayout& layout,
                                  std::span<const int> pp_ranks);
// The same of a complete plan.
std::vector<UnitSpec> param_units(const spec::ModelSpec& model, const Plan& plan, int layer);

// The ranks of such a line with `rank` among them: of `shards` those that make a whole unit with
// it, of `copies` those that own the same elements.
struct UnitRanks {
  RankSet replicas, shards, copies;
};
UnitRanks unit_ranks(const UnitSpec& unit, const RankLayout& layout, int rank);

// Elements with the zeros behind them that let `num_slices` ranks own equal slices. Slices start at
// multiples of 16, so that vectorised optimizers see the same lanes under any sharding.
constexpr std::int64_t padded_elements(std::int64_t elements, int num_slices) {
  constexpr std::int64_t kSliceAlignment = 16;
  return round_up(elements, kSliceAlignment * num_slices);
}

// The ranks that hold copies of a tied parameter on different pipeline ranks, for the rank and
// layer given; empty where there is nothing to tie.
RankSet tie_ranks(const spec::ModelSpec& model, const Plan& plan, const std::string& tied_name,
                  int layer, int rank);

}  // namespace galvatron::plan
