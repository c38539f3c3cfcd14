// A shape of several stages per pipeline rank: even stages, balanced chunks of the layers, and one
// strategy for all layers of a type, TP on neighbours. Few enough choices to be enumerated with
// bounds (solvers/interleaved_solver.h), so that its best plan is known exactly.
#pragma once
#include <memory>
#include <vector>

#include "galvatron/search/shape_candidate.h"

namespace galvatron::search {

class InterleavedCandidate : public ShapeCandidate {
 public:
  InterleavedCandidate(std::shared_ptr<SharedPipeline> shared, const cost::PipelineShape& shape);

  double bound() const override { return bound_; }
  // Enumerates all of it below the cutoff; where that is too much, what was found stands.
  std::optional<ShapeAnswer> advance(const Effort& effort, SearchWork& spent) override;
  bool wants_cutoff() const override { return true; }
  std::int64_t least_bytes_bound() override;
  std::int64_t least_bytes(std::int64_t below) override;

 private:
  double compute_bound() const;
  void give_up(double bound);

  double bound_;
};

// Of a pipeline of `pp_degree` ranks the fewest and the most stages per rank, from `fewest` on, for
// each size that the largest stage can have: more of the same size add transfers, and leave a layer
// that takes longer than the others, such as a head, more often alone in its stage.
std::vector<int> interleaved_stages_per_rank(int num_layers, int pp_degree, int fewest);

}  // namespace galvatron::search
