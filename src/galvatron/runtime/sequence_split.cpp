#include "galvatron/runtime/sequence_split.h"

namespace galvatron::runtime {

nn::SequenceSplit sequence_split(const plan::LayerStrategy& strategy, int ranks_per_stage, int rank_in_stage,
                                 std::int64_t length) {
  const plan::RankCoordinates place = plan::coordinates(rank_in_stage, ranks_per_stage, strategy);
  nn::SequenceSplit split;
  split.length = length;
  split.tokens = plan::token_rect(plan::token_layout(strategy, ranks_per_stage), rank_in_stage, 1, length).tokens;
  split.block_tokens = plan::block_rect(strategy, ranks_per_stage, rank_in_stage, 1, length).tokens;
  for (int t = 0; t < strategy.tp_degree; ++t) {
    split.tp_sizes.push_back(chunk(length, strategy.seq_degree(), place.ulysses_rank * strategy.tp_degree + t).size());
  }
  for (int u = 0; u < strategy.ulysses_degree; ++u) {
    split.ulysses_sizes.push_back(chunk(length, strategy.ulysses_degree, u).size());
  }
  return split;
}

}  // namespace galvatron::runtime
