#pragma once
#include <memory>
#include <utility>

#include <pybind11/pybind11.h>

namespace galvatron::binding {

// A Python object that C++ may copy and drop without holding the GIL.
using SharedObject = std::shared_ptr<pybind11::object>;
inline SharedObject share(pybind11::object object) {
  return {new pybind11::object(std::move(object)), [](pybind11::object* held) {
            const pybind11::gil_scoped_acquire acquire;
            delete held;
          }};
}

}  // namespace galvatron::binding
