// One interleaved shape: the best choice of one candidate for each layer type.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "galvatron/cost/cost_tables.h"

namespace galvatron::search {

// Enumerates the choices, heaviest type first, and leaves out every branch whose bound is not below
// the best: step time and memory only rise with each of a layer's numbers, so what the types that
// are still open take at least bounds both.
class InterleavedSolver {
 public:
  // `tables`: of a shape with the same ranks and microbatches; outlives this.
  InterleavedSolver(const cost::CostTables& tables, const cost::PipelineShape& shape,
                    const std::vector<int>& layers_per_stage, std::int64_t budget);

  // The fastest choice that fits and is below `cutoff` ms; empty when there is none. Gives up after
  // bounding `max_work` branches, with the best so far.
  // `interrupted`, where given: asked now and then; true ends it as if the work were done.
  std::vector<int> solve(double cutoff, std::int64_t max_work,
                         const std::function<bool()>* interrupted = nullptr);
  double step_ms() const { return best_ms_; }  // of solve()'s answer
  // Bytes of the choice that needs the least, where that is less than `below`; else `below`. Gives
  // up likewise.
  std::int64_t least_bytes(std::int64_t below, std::int64_t max_work);
  // No choice needs less.
  std::int64_t least_bytes_bound();
  std::int64_t work() const { return work_; }
  bool complete() const { return work_ < max_work_; }
  double lower_bound() const { return lower_bound_; }  // ms: no choice at all is faster

 private:
  // What a layer of a type takes, or takes at least while its candidate is open.
  struct TypeCost {
    double forward_ms = 0, backward_ms = 0, once_ms = 0;
    std::int64_t state_bytes = 0, activation_bytes = 0;
  };

  // Stages with as many layers of each type between the same borders: their bounds are the same.
  struct StageClass {
    std::vector<int> layers;                   // [type]
    std::vector<std::pair<int, int>> changes;  // of type, in front of layers: before and after
    double in_ms = 0, out_ms = 0;
    bool operator==(const StageClass&) const = default;
  };
  using Members = std::map<int, int>;  // class -> how many stages
  struct ChunkClass {
    Members members;
    int count = 1;
  };

  // A pipeline rank's layers of each type, and how many times what one of them keeps is there at
  // the moment when most microbatches are in flight.
  struct RankLoad {
    std::vector<std::int64_t> layers, kept;
  };

  void classify(const std::vector<int>& layers_per_stage);
  void order_types();
  int class_of(int stage);
  TypeCost least_cost(std::size_t type, const std::vector<int>& ids) const;
  void keep_useful(double cutoff);
  bool goes_with_tied(std::size_t type, int id) const;
  bool is_spent();
  void descend(std::size_t level);
  void try_choice();
  bool may_fit();
  bool outer_ranks_may_fit();
  bool may_fit(int pp_rank);
  double time_bound();
  double change_ms(const std::pair<int, int>& types) const;
  std::int64_t bytes_bound(int pp_rank);
  std::int64_t bytes_of(int pp_rank);
  const std::vector<cost::FlightMoment>& moments(int pp_rank);
  const RankLoad& load(int pp_rank);

  cost::CostTables tables_;  // with the shape
  std::int64_t budget_;
  std::vector<Range> stages_;  // layers of each
  std::vector<StageClass> classes_;
  std::vector<int> class_of_stage_;
  std::vector<ChunkClass> chunks_;        // distinct ones
  std::vector<Members> ranks_;            // stages of a pipeline rank, distinct ones
  std::vector<std::vector<int>> useful_;  // [type]: candidates
  std::vector<std::size_t> order_;        // types, heaviest first
  std::vector<TypeCost> types_;           // as far as chosen
  std::vector<int> picked_;               // [type]; -1: open
  std::vector<int> choice_;               // [layer] of a complete pick
  std::vector<cost::StageNumbers> numbers_;
  std::vector<cost::StageNumbers> class_numbers_;
  std::vector<cost::ChunkNumbers> chunk_numbers_;
  std::vector<std::vector<cost::FlightMoment>> moments_;  // [pipeline rank], when asked for
  std::vector<RankLoad> loads_;                           // likewise
  bool by_memory_ = false;
  const std::function<bool()>* interrupted_ = nullptr;
  std::int64_t work_ = 0, max_work_ = 0;
  double lower_bound_ = 0;
  double best_ms_ = 0;
  std::int64_t least_bytes_ = 0;
  std::vector<int> best_;
};

}  // namespace galvatron::search
