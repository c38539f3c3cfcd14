// Groups the parameters of this rank's layers into ZeRO units.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/comm/world.h"
#include "galvatron/plan/param_units.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/param_unit.h"

namespace galvatron::runtime {

at::ScalarType compute_scalar_type(spec::Precision precision);
at::ScalarType state_scalar_type(spec::Precision precision);

// Makes the units of plan/param_units.h: a tied one with the first layer of the rank that uses it.
class UnitBuilder {
 public:
  UnitBuilder(const spec::ModelSpec& model, const plan::Plan& plan, const comm::World& world);

  // The parameters of a layer of this rank, in the order of its spec.
  std::vector<ParamRef> add_layer(int layer);
  std::vector<std::unique_ptr<ParamUnit>> take_units() { return std::move(units_); }

 private:
  ParamUnit* make_unit(int layer, const plan::UnitSpec& unit);

  const spec::ModelSpec& model_;
  const plan::Plan& plan_;
  const comm::World& world_;
  std::vector<std::unique_ptr<ParamUnit>> units_;
  std::map<std::string, ParamUnit*> tied_;
};

}  // namespace galvatron::runtime
