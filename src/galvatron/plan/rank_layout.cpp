#include "galvatron/plan/rank_layout.h"

#include "galvatron/base/error.h"

namespace galvatron::plan {
namespace {

RankSet strided(int first, int count, int stride) {
  RankSet ranks;
  for (int i = 0; i < count; ++i) ranks.push_back(first + i * stride);
  return ranks;
}

}  // namespace

RankStrides rank_strides(const LayerStrategy& strategy, int ranks_per_stage) {
  const int tp = strategy.tp_consecutive ? 1 : ranks_per_stage / strategy.tp_degree;
  const int ulysses = strategy.tp_consecutive ? strategy.tp_degree : 1;
  return {tp, ulysses, ulysses * strategy.ulysses_degree};
}

RankCoordinates coordinates(int rank, int ranks_per_stage, const LayerStrategy& strategy) {
  GALV_CHECK(rank >= 0 && ranks_per_stage > 0, "rank ", rank, ", ", ranks_per_stage, " per stage");
  GALV_CHECK(ranks_per_stage % strategy.seq_degree() == 0, to_text(strategy), " on ",
             ranks_per_stage, " ranks");
  const int in_stage = rank % ranks_per_stage;
  const RankStrides strides = rank_strides(strategy, ranks_per_stage);
  RankCoordinates out;
  out.stage = rank / ranks_per_stage;
  out.tp_rank = in_stage / strides.tp % strategy.tp_degree;
  out.ulysses_rank = in_stage / strides.ulysses % strategy.ulysses_degree;
  out.dp_rank = in_stage / strides.dp % (ranks_per_stage / strategy.seq_degree());
  out.seq_rank = out.ulysses_rank * strategy.tp_degree + out.tp_rank;
  return out;
}

RankSet stage_ranks(int pp_rank, int ranks_per_stage) {
  return strided(pp_rank * ranks_per_stage, ranks_per_stage, 1);
}

RankSet tp_ranks(int rank, int ranks_per_stage, const LayerStrategy& strategy) {
  const RankCoordinates at = coordinates(rank, ranks_per_stage, strategy);
  const int stride = rank_strides(strategy, ranks_per_stage).tp;
  return strided(rank - at.tp_rank * stride, strategy.tp_degree, stride);
}

RankSet ulysses_ranks(int rank, int ranks_per_stage, const LayerStrategy& strategy) {
  const RankCoordinates at = coordinates(rank, ranks_per_stage, strategy);
  const int stride = rank_strides(strategy, ranks_per_stage).ulysses;
  return strided(rank - at.ulysses_rank * stride, strategy.ulysses_degree, stride);
}

RankSet replica_ranks(int rank, int ranks_per_stage, const LayerStrategy& strategy,
                      bool tp_divided) {
  const RankCoordinates at = coordinates(rank, ranks_per_stage, strategy);
  if (!tp_divided) return stage_ranks(at.stage, ranks_per_stage);
  const RankStrides strides = rank_strides(strategy, ranks_per_stage);
  return strided(at.stage * ranks_per_stage + at.tp_rank * strides.tp,
                 ranks_per_stage / strategy.tp_degree, strides.ulysses);
}

TokenLayout token_layout(const LayerStrategy& strategy, int ranks_per_stage) {
  return {ranks_per_stage / strategy.seq_degree(), strategy.seq_degree(),
          strategy.tp_consecutive ? 1 : strategy.tp_degree};
}

TokenRect token_rect(const TokenLayout& layout, int rank_in_stage, std::int64_t num_samples,
                     std::int64_t seq_length) {
  const int inner_degree = layout.seq_degree / layout.outer_degree;
  const int inner_ranks = layout.dp_degree * inner_degree;
  const int outer = rank_in_stage / inner_ranks, inner = rank_in_stage % inner_ranks;
  const int seq_rank = inner % inner_degree * layout.outer_degree + outer;
  return {chunk(num_samples, layout.dp_degree, inner / inner_degree),
          chunk(seq_length, layout.seq_degree, seq_rank)};
}

TokenRect block_rect(const LayerStrategy& strategy, int ranks_per_stage, int rank_in_stage,
                     std::int64_t num_samples, std::int64_t seq_length) {
  const RankCoordinates at = coordinates(rank_in_stage, ranks_per_stage, strategy);
  const TokenLayout layout = token_layout(strategy, ranks_per_stage);
  // Balanced chunks nest: the tp_degree parts of a Ulysses rank are one part of ulysses_degree.
  return {chunk(num_samples, layout.dp_degree, at.dp_rank),
          chunk(seq_length, strategy.ulysses_degree, at.ulysses_rank)};
}

}  // namespace galvatron::plan
