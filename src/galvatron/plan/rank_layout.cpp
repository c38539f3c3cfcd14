#include "galvatron/plan/rank_layout.h"

#include "galvatron/base/error.h"

namespace galvatron::plan {

RankSet ranks_of(int first, const RankLine& line) {
  RankSet ranks;
  for (int i = 0; i < line.size; ++i) ranks.push_back(first + i * line.stride);
  return ranks;
}

TokenRect TokenLayout::rect(int rank_in_stage, std::int64_t num_samples,
                            std::int64_t seq_length) const {
  const int inner_degree = seq_degree / outer_degree;
  const int inner_ranks = dp_degree * inner_degree;
  const int outer = rank_in_stage / inner_ranks, inner = rank_in_stage % inner_ranks;
  const int seq_rank = inner % inner_degree * outer_degree + outer;
  return {chunk(num_samples, dp_degree, inner / inner_degree),
          chunk(seq_length, seq_degree, seq_rank)};
}

RankLayout::RankLayout(const LayerStrategy& strategy, int ranks_per_stage)
    : strategy_(strategy), ranks_per_stage_(ranks_per_stage) {
  GALV_CHECK(ranks_per_stage > 0 && ranks_per_stage % strategy.seq_degree() == 0, to_text(strategy),
             " on ", ranks_per_stage, " ranks");
}

RankStrides RankLayout::strides() const {
  const bool near = strategy_.tp_consecutive;
  const int ulysses = near ? strategy_.tp_degree : 1;
  return {near ? 1 : ranks_per_stage_ / strategy_.tp_degree, ulysses,
          ulysses * strategy_.ulysses_degree};
}

RankCoordinates RankLayout::coordinates(int rank) const {
  GALV_CHECK(rank >= 0, "rank ", rank);
  const int in_stage = rank % ranks_per_stage_;
  const RankStrides stride = strides();
  RankCoordinates out;
  out.stage = rank / ranks_per_stage_;
  out.tp_rank = in_stage / stride.tp % strategy_.tp_degree;
  out.ulysses_rank = in_stage / stride.ulysses % strategy_.ulysses_degree;
  out.dp_rank = in_stage / stride.dp % dp_degree();
  out.seq_rank = out.ulysses_rank * strategy_.tp_degree + out.tp_rank;
  return out;
}

RankLine RankLayout::replica_line(bool tp_divided) const {
  if (!tp_divided) return {ranks_per_stage_, 1};
  return {ranks_per_stage_ / strategy_.tp_degree, strides().ulysses};
}

RankSet RankLayout::tp_ranks(int rank) const {
  const RankLine line = tp_line();
  return ranks_of(rank - coordinates(rank).tp_rank * line.stride, line);
}

RankSet RankLayout::ulysses_ranks(int rank) const {
  const RankLine line = ulysses_line();
  return ranks_of(rank - coordinates(rank).ulysses_rank * line.stride, line);
}

RankSet RankLayout::replica_ranks(int rank, bool tp_divided) const {
  const int first = rank - rank % ranks_per_stage_;
  const int tp_offset = tp_divided ? coordinates(rank).tp_rank * strides().tp : 0;
  return ranks_of(first + tp_offset, replica_line(tp_divided));
}

TokenLayout RankLayout::tokens() const {
  return {dp_degree(), strategy_.seq_degree(), strategy_.tp_consecutive ? 1 : strategy_.tp_degree};
}

TokenRect RankLayout::token_rect(int rank, std::int64_t num_samples,
                                 std::int64_t seq_length) const {
  return tokens().rect(rank % ranks_per_stage_, num_samples, seq_length);
}

TokenRect RankLayout::block_rect(int rank, std::int64_t num_samples,
                                 std::int64_t seq_length) const {
  const RankCoordinates at = coordinates(rank);
  // Balanced chunks nest: the tp_degree parts of a Ulysses rank are one part of ulysses_degree.
  return {chunk(num_samples, dp_degree(), at.dp_rank),
          chunk(seq_length, strategy_.ulysses_degree, at.ulysses_rank)};
}

}  // namespace galvatron::plan
