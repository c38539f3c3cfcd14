// Where the sources and the build lie. Functions, not definitions for every file: a test compiles
// alike in each checkout, so that ccache knows it.
#pragma once
#include <filesystem>

namespace galvatron::testing_paths {

std::filesystem::path source_dir();
std::filesystem::path binary_dir();

}  // namespace galvatron::testing_paths
