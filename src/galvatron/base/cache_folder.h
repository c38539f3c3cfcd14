// Where what can be made again is kept between runs.
#pragma once
#include <filesystem>
#include <optional>

namespace galvatron {

// $XDG_CACHE_HOME/galvatron, or ~/.cache/galvatron; nullopt where there is no home.
std::optional<std::filesystem::path> cache_folder();

}  // namespace galvatron
