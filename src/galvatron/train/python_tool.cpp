#include "galvatron/train/python_tool.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <unistd.h>

#include "galvatron/base/own_folder.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  return fs::is_regular_file(path) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::vector<std::string> find_python_tool(const std::string& name, const std::string& module) {
  if (const char* python = std::getenv("GALVATRON_PYTHON"); python && *python)
    return {python, "-m", module};
  if (is_program(own_folder() / name)) return {(own_folder() / name).string()};
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path ? path : ""; !rest.empty();) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, colon)) / name;
    if (is_program(candidate)) return {candidate.string()};
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return {};
}

}  // namespace galvatron::train
