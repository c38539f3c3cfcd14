// galvatron._core: the training half, on torch's libraries. The package around it
// (python/galvatron) is the interface for users.
#include "galvatron/train/train_options.h"

#include "bindings.h"
#include "python_words.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, module) {
  module.doc() = "Galvatron's training half. Use the names of the package galvatron instead.";
  py::module_::import("galvatron._planner");  // its ModelSpec is that of this module too
  module.attr("version") = GALVATRON_VERSION;
  galvatron::train::TrainJob job;
  galvatron::train::EvaluationRequest evaluation;
  galvatron::binding::know_options(galvatron::train::train_options(job));
  galvatron::binding::know_options(galvatron::train::evaluation_options(job, evaluation));
  galvatron::binding::bind_errors();
  galvatron::binding::bind_models(module);
  galvatron::binding::bind_training(module);
  galvatron::binding::bind_auto_plans(module);
  galvatron::binding::bind_step_runner(module);
}
