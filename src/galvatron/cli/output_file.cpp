#include "galvatron/cli/output_file.h"

#include <filesystem>

#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/base/user_path.h"

namespace galvatron::cli {

void require_writable(const std::string& path, const std::string& option) {
  namespace fs = std::filesystem;
  refuse_address(path, option);
  std::error_code error;
  const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : ".";
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder, error)) {
    throw ConfigError(option, " ", path, ": there is no folder ", folder.string(),
                      " and it cannot be made");
  }
  if (fs::is_directory(path, error))
    throw ConfigError(option, " ", path, " is a folder, not a file");
  replaced_by_writing(path);
  if (access(folder.c_str(), W_OK) != 0) {
    throw ConfigError(option, " ", path, ": the folder ", folder.string(), " is not writable");
  }
}

}  // namespace galvatron::cli
