// Groups the parameters of this rank's layers into ZeRO units.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/param_unit.h"

namespace galvatron::runtime {

at::ScalarType compute_scalar_type(spec::Precision precision);
at::ScalarType state_scalar_type(spec::Precision precision);

// A layer has one unit over all ranks of its stage, or under tensor parallelism two: what is
// divided (replicated over the ranks with the same tp rank) and what is not (over the stage). A
// tied parameter is a unit of its own, one per rank, shared by the layers of the rank that use it,
// and tied to its copies on other pipeline ranks. Where it is divided its layers have one strategy
// for it (check_plan); where it is whole it is small and never sharded, whatever its layers do.
class UnitBuilder {
 public:
  UnitBuilder(const spec::ModelSpec& model, const plan::Plan& plan, const comm::World& world);

  // The parameters of a layer of this rank, in the order of its spec.
  std::vector<ParamRef> add_layer(int layer);
  std::vector<std::unique_ptr<ParamUnit>> take_units() { return std::move(units_); }

 private:
  ParamUnit* make_unit(const std::string& name, int layer, bool tp_divided,
                       const std::vector<int>& params, bool tied);
  comm::Group tie_group(const std::string& tied_name, int layer) const;

  const spec::ModelSpec& model_;
  const plan::Plan& plan_;
  const comm::World& world_;
  std::vector<std::unique_ptr<ParamUnit>> units_;
  std::map<std::string, ParamUnit*> tied_;
};

// The ranks that hold copies of a tied parameter on different pipeline ranks, for the rank and
// layer given; empty where there is nothing to tie.
plan::RankSet tie_ranks(const spec::ModelSpec& model, const plan::Plan& plan,
                        const std::string& tied_name, int layer, int rank);

}  // namespace galvatron::runtime
