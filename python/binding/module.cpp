// galvatron._core: what the Python package calls. The package around it (python/galvatron) is the
// interface for users.
#include "bindings.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, module) {
  module.doc() = "Galvatron's C++ side. Use the names of the package galvatron instead.";
  module.attr("version") = GALVATRON_VERSION;
  galvatron::binding::bind_errors();
  galvatron::binding::bind_planning(module);
  galvatron::binding::bind_answers(module);
  galvatron::binding::bind_models(module);
  galvatron::binding::bind_training(module);
  galvatron::binding::bind_auto_plans(module);
  galvatron::binding::bind_step_runner(module);
}
