// Whether a result can be written where the user wants it, asked before the work that makes it.
#pragma once
#include <string>

namespace galvatron::cli {

// Makes the folder where it is missing. ConfigError naming `option` when no file can be written
// at `path`.
void require_writable(const std::string& path, const std::string& option);

}  // namespace galvatron::cli
