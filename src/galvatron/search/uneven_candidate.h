// A shape of one stage per pipeline rank: any partition of the layers, any strategy of each
// (solvers/shape_solver.h).
#pragma once
#include <memory>
#include <vector>

#include "galvatron/search/shape_candidate.h"

namespace galvatron::search {

class UnevenCandidate : public ShapeCandidate {
 public:
  UnevenCandidate(std::shared_ptr<SharedPipeline> shared, const cost::PipelineShape& shape);

  double bound() const override { return parts_.empty() ? kInfinity : parts_.front().bound; }
  std::optional<ShapeAnswer> advance(const Effort& effort, SearchWork& spent) override;
  bool wants_cutoff() const override { return false; }
  std::int64_t least_bytes_bound() override;
  std::int64_t least_bytes(std::int64_t below) override;

 private:
  // All groups of tied layers together, or one: from vague to exact.
  struct Part {
    enum class Stage {
      kShape,   // bounded by compute alone; no tables yet
      kAll,     // all groups of first and last layer together, bounded by all layers at once
      kSplit,   // the same, bounded by stages of every length
      kGroup,   // one group, bounded by all layers at once
      kStages,  // one group, bounded by stages of every length
    };
    Stage stage = Stage::kShape;
    double bound = 0;  // ms per sample
    std::unique_ptr<ShapeSolver> solver;
    double step = 0;        // how far above its bound it is searched
    bool fits = false;      // known to
    bool tolerant = false;  // exactly is too much work
    bool glanced = false;   // by a beam, in haste
    int order = 0;          // of making: decides between equal bounds
  };

  static bool later(const Part& a, const Part& b) {
    return a.bound != b.bound ? a.bound > b.bound : a.order > b.order;
  }
  double compute_bound() const;
  const ShapeQuestion& question();
  void put_back(Part part);
  void raise(Part& part) const;
  void bound_group(Part part, int group);
  void bound_stages(Part part);
  StageLimits limits_of(const Part& part, const Effort& effort) const;
  std::optional<ShapeAnswer> attempt(Part part, const Effort& effort, SearchWork& spent);
  std::optional<ShapeAnswer> finish_by_beam(const Part& part, const Effort& effort,
                                            SearchWork& spent);
  ShapeAnswer glance(const Part& part, const Effort& effort, SearchWork& spent);

  std::unique_ptr<ShapeQuestion> question_;
  std::vector<Part> parts_;  // a heap, lowest bound first
  int num_parts_ = 0;        // made
};

}  // namespace galvatron::search
