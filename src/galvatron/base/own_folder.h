// Where this code was loaded from: files that are installed beside it are found from there.
#pragma once
#include <filesystem>

namespace galvatron {

// The folder of the binary, or of the shared library (the Python module) that this code is part of.
std::filesystem::path own_folder();

}  // namespace galvatron
