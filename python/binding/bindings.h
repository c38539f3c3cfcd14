// The parts of the module, one function each, and what they share.
#pragma once
#include <string>

#include <pybind11/pybind11.h>

#include "galvatron/base/json.h"
#include "galvatron/plan/plan.h"
#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/model_profile.h"

namespace galvatron::binding {

// ConfigError, RuntimeFailure and InternalError arrive as the classes of galvatron/errors.py, with
// the same sentence.
void bind_errors();
void bind_models(pybind11::module_& module);
void bind_planning(pybind11::module_& module);
void bind_answers(pybind11::module_& module);
void bind_training(pybind11::module_& module);
void bind_auto_plans(pybind11::module_& module);
void bind_step_runner(pybind11::module_& module);

// Structured values cross the border as JSON text: the files' own form, read with the files' own
// checks.
using Text = std::string;
inline Json from_text(const Text& text, const char* source) { return parse_json(text, source); }
inline plan::Plan to_plan(const Text& text) {
  return plan::plan_from_json(from_text(text, "the plan"), "the plan");
}
inline profiles::HardwareProfile to_hardware(const Text& text) {
  return profiles::hardware_profile_from_json(from_text(text, "the hardware profile"),
                                              "the hardware profile");
}
inline profiles::ModelProfile to_profile(const Text& text) {
  return profiles::model_profile_from_json(from_text(text, "the model profile"),
                                           "the model profile");
}

}  // namespace galvatron::binding
