// galvatron._planner: the planning half, which needs no torch. The package around it
// (python/galvatron) is the interface for users.
#include "bindings.h"

namespace py = pybind11;

PYBIND11_MODULE(_planner, module) {
  module.doc() = "Galvatron's planning half. Use the names of the package galvatron instead.";
  module.attr("version") = GALVATRON_VERSION;
  galvatron::binding::bind_errors();
  galvatron::binding::bind_planning(module);
  galvatron::binding::bind_answers(module);
}
