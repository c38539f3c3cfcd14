#include "galvatron/base/error.h"
#include "galvatron/base/user_path.h"

#include "bindings.h"
#include "python_words.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

void raise(const char* name, const std::exception& error) {
  const py::object type = py::module_::import("galvatron.errors").attr(name);
  py::set_error(type, in_python_words(error.what()).c_str());
}

void translate(std::exception_ptr raised) {
  try {
    if (raised) std::rethrow_exception(raised);
  } catch (const ConfigError& error) {
    raise("ConfigError", error);
  } catch (const RuntimeFailure& error) {
    raise("RuntimeFailure", error);
  } catch (const InternalError& error) {
    raise("InternalError", error);
  } catch (const std::filesystem::filesystem_error& error) {
    raise("ConfigError", ConfigError(path_problem(error)));
  }
}

}  // namespace

void bind_errors() { py::register_local_exception_translator(translate); }

}  // namespace galvatron::binding
