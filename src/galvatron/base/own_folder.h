// Where this code was loaded from: files that are installed beside it are found from there.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

namespace galvatron {

// The folder of the binary, or of the shared library (the Python module) that this code is part of.
std::filesystem::path own_folder();

// A shared library of ours that is opened at run time, beside the binary or the module: of an
// installation or of a build folder. nullopt: this build has none.
std::optional<std::filesystem::path> find_own_library(const std::string& file_name);

}  // namespace galvatron
