// A parameter of a layer by its name.
#pragma once
#include <stdexcept>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

inline const ParamSpec& find_param(const LayerSpec& layer, const std::string& name) {
  for (const ParamSpec& param : layer.params) {
    if (param.name == name) return param;
  }
  throw std::runtime_error("no parameter " + name + " in " + layer.name);
}

}  // namespace galvatron::spec
