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

// One of `names`, or `standard` (which need not be one of them) where nothing is given.
inline std::string choice_or(JsonReader& reader, const char* key, const std::string& standard,
                             const std::vector<std::string>& names) {
  if (reader.has(key)) return reader.get_choice_or(key, standard, names);
  reader.ignore(key);
  return standard;
}

}  // namespace galvatron::binding
