// Where a rank stands: rank <-> (pipeline rank, dp, ulysses, tp), innermost fastest, and the rank
// sets that communicate. All functions are pure, so every rank can work out every other rank's
// groups.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/base/partition.h"
#include "galvatron/plan/layer_strategy.h"

namespace galvatron::plan {

// Coordinates of one rank for one layer's strategy.
//   rank = pp_rank * ranks_per_stage
//        + (dp_rank * ulysses_degree + ulysses_rank) * tp_degree + tp_rank
// and where the strategy's TP ranks are not consecutive
//   rank = pp_rank * ranks_per_stage
//        + tp_rank * (dp_degree * ulysses_degree) + dp_rank * ulysses_degree + ulysses_rank
struct RankCoordinates {
  int stage = 0;
  int dp_rank = 0;
  int ulysses_rank = 0;
  int tp_rank = 0;
  // Place in the sequence split at the layer's border: ulysses_rank * tp_degree + tp_rank.
  int seq_rank = 0;
};

using RankSet = std::vector<int>;  // ascending global ranks
// `size` ranks, `stride` apart.
struct RankLine {
  int size = 1, stride = 1;
  bool operator==(const RankLine&) const = default;
};

RankSet ranks_of(int first, const RankLine& line);

// Distances between ranks that differ in one coordinate by one. Those that hold the same values of
// what TP divides lie `ulysses` apart.
struct RankStrides {
  int tp = 1, ulysses = 1, dp = 1;
};

// Samples x tokens of a microbatch that one rank holds. Sample indices are within the microbatch.
struct TokenRect {
  Range samples;
  Range tokens;
  bool operator==(const TokenRect&) const = default;
  bool empty() const { return samples.empty() || tokens.empty(); }
};

// How the samples and tokens of a microbatch are spread over the ranks of a stage at a layer's
// border: the batch in dp_degree chunks, the sequence in seq_degree chunks.
struct TokenLayout {
  int dp_degree = 1;
  int seq_degree = 1;
  // Of the sequence's ways, those that lie outermost in the order of ranks: tp_degree where TP
  // ranks are not consecutive.
  int outer_degree = 1;
  bool operator==(const TokenLayout&) const = default;

  TokenRect rect(int rank_in_stage, std::int64_t num_samples, std::int64_t seq_length) const;
};

// One layer's strategy on the ranks of its stage. Plan::layout makes one. A rank is a global one.
class RankLayout {
 public:
  // REQUIRES: the strategy's degrees divide the stage (check_layer_strategy).
  RankLayout(const LayerStrategy& strategy, int ranks_per_stage);

  const LayerStrategy& strategy() const { return strategy_; }
  int ranks_per_stage() const { return ranks_per_stage_; }
  // Ranks of the stage over the ways the sequence is split.
  int dp_degree() const { return ranks_per_stage_ / strategy_.seq_degree(); }
  RankStrides strides() const;
  RankCoordinates coordinates(int rank) const;

  RankLine tp_line() const { return {strategy_.tp_degree, strides().tp}; }
  RankLine ulysses_line() const { return {strategy_.ulysses_degree, strides().ulysses}; }
  // Of the ranks that hold the same values of a parameter within the stage: those of one tp rank
  // where TP divides it, else the stage.
  RankLine replica_line(bool tp_divided) const;
  // The ranks of such a line with `rank` among them.
  RankSet tp_ranks(int rank) const;
  RankSet ulysses_ranks(int rank) const;
  RankSet replica_ranks(int rank, bool tp_divided) const;

  TokenLayout tokens() const;
  // What a rank holds at the layer's border.
  TokenRect token_rect(int rank, std::int64_t num_samples, std::int64_t seq_length) const;
  // Tokens inside the layer's TP region: the chunks of all its tp ranks together.
  TokenRect block_rect(int rank, std::int64_t num_samples, std::int64_t seq_length) const;

 private:
  LayerStrategy strategy_;
  int ranks_per_stage_;
};

}  // namespace galvatron::plan
