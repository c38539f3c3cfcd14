// Exact times and memory of a choice on one partition, stage by stage. Of one stage per pipeline
// rank.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/cost/cost_tables.h"

namespace galvatron::search {

// Layers of one type that lie side by side in a stage.
struct Segment {
  int stage = 0;
  Range layers;
};

class ChoicePricer {
 public:
  using Choice = std::vector<int>;  // candidate of every layer
  using Stages = std::vector<cost::StageNumbers>;

  // `tables` outlive this. `budget`: bytes.
  ChoicePricer(const cost::CostTables& tables, const std::vector<int>& layers_per_stage,
               std::int64_t budget);

  int num_stages() const { return static_cast<int>(layers_.size()); }
  Range layers(int stage) const { return layers_[static_cast<std::size_t>(stage)]; }
  std::vector<Segment> segments() const;  // of all stages, in the order of the layers
  bool fits(const Choice& choice, int stage) const;
  Stages price(const Choice& choice) const;
  // After a change in the layers of one stage: what enters the next one may take another time.
  void reprice(const Choice& choice, int stage, Stages& stages) const;
  double step_ms(const Stages& stages) const { return pipeline_time_ms(tables_.shape, stages); }
  double step_ms(const Choice& choice) const { return step_ms(price(choice)); }
  const cost::CostTables& tables() const { return tables_; }

 private:
  const cost::CostTables& tables_;
  std::vector<Range> layers_;
  std::vector<std::vector<cost::FlightMoment>> moments_;  // [stage]
  std::int64_t budget_;
};

}  // namespace galvatron::search
