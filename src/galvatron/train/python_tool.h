// Commands of the Python package that this process starts.
#pragma once
#include <string>
#include <vector>

namespace galvatron::train {

// `name` as a command, which is `module` of the package: of the Python that GALVATRON_PYTHON names,
// of the installation that this binary belongs to, or in PATH. Empty: there is none.
std::vector<std::string> find_python_tool(const std::string& name, const std::string& module);

}  // namespace galvatron::train
