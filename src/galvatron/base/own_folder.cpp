#include "galvatron/base/own_folder.h"

#include <dlfcn.h>

namespace galvatron {

std::filesystem::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) && info.dli_fname) {
    const std::filesystem::path file = info.dli_fname;
    if (file.extension() == ".so") return std::filesystem::absolute(file).parent_path();
  }
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

std::optional<std::filesystem::path> find_own_library(const std::string& file_name) {
  for (const char* place : {"../lib", "lib", "../../lib"}) {
    const std::filesystem::path candidate = own_folder() / place / file_name;
    if (std::filesystem::exists(candidate)) return candidate.lexically_normal();
  }
  return std::nullopt;
}

}  // namespace galvatron
