// A shape of several stages per pipeline rank: even stages, balanced chunks of the layers or as
// many blocks on each beside the first and the last layer, and one strategy for all layers of a
// type, TP on neighbours. Few enough choices to be enumerated with bounds
// (solvers/interleaved_solver.h), so that its best plan is known exactly.
#pragma once
#include <memory>
#include <vector>

#include "galvatron/search/shape_candidate.h"

namespace galvatron::search {

class InterleavedCandidate : public ShapeCandidate {
 public:
  InterleavedCandidate(std::shared_ptr<SharedPipeline> shared, const cost::PipelineShape& shape,
                       std::vector<int> layers_per_stage);

  double bound() const override { return bound_; }
  // Enumerates all of it below the cutoff; where that is too much, what was found stands.
  std::optional<ShapeAnswer> advance(const Effort& effort, SearchWork& spent) override;
  void reopen() override {
    if (bound_ == kInfinity) bound_ = compute_bound();
  }
  bool wants_cutoff() const override { return true; }
  std::int64_t least_bytes_bound() override;
  std::int64_t least_bytes(std::int64_t below) override;

 private:
  double compute_bound() const;
  void give_up(double bound);

  std::vector<int> layers_per_stage_;
  double bound_;
};

// Of a pipeline of `pp_degree` ranks the fewest and the most stages per rank, from `fewest` on, for
// each size that the largest stage can have: more of the same size add transfers, and leave a layer
// that takes longer than the others, such as a head, more often alone in its stage.
std::vector<int> interleaved_stages_per_rank(int num_layers, int pp_degree, int fewest);

// As many blocks on every stage, with the first layer beside those of the first stage and the last
// beside those of the last, as Megatron lays them; empty where the blocks do not divide so.
std::vector<int> stages_beside_ends(int num_layers, int num_stages);

// Layers of each stage: balanced chunks for the numbers of stages above, and stages_beside_ends()
// wherever the blocks divide, up to as many stages on a rank as are used in practice: each further
// one saves less of the bubble and costs a transfer.
constexpr int kMostBesideEnds = 4;
std::vector<std::vector<int>> interleaved_layouts(int num_layers, int pp_degree, int fewest);

}  // namespace galvatron::search
