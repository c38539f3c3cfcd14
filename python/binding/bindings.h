// The parts of the module, one function each, and what they share.
#pragma once
#include <string>
#include <vector>

#include <pybind11/pybind11.h>

#include "galvatron/base/json.h"

namespace galvatron::binding {

// ConfigError, RuntimeFailure and InternalError arrive as the classes of galvatron/errors.py, with
// the same sentence.
void bind_errors();
void bind_models(pybind11::module_& module);
void bind_planning(pybind11::module_& module);
void bind_training(pybind11::module_& module);

// Structured values cross the border as JSON text: the files' own form, read with the files' own
// checks.
inline Json from_text(const std::string& text, const char* source) {
  return parse_json(text, source);
}

}  // namespace galvatron::binding
