#include "galvatron/base/cache_folder.h"

#include <cstdlib>

namespace galvatron {

std::optional<std::filesystem::path> cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return std::filesystem::path(cache) / "galvatron";
  const char* home = std::getenv("HOME");
  if (home && *home) return std::filesystem::path(home) / ".cache" / "galvatron";
  return std::nullopt;
}

}  // namespace galvatron
