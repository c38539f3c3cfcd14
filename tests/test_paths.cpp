#include "test_paths.h"

namespace galvatron::testing_paths {

std::filesystem::path source_dir() { return GALVATRON_SOURCE_DIR; }
std::filesystem::path binary_dir() { return GALVATRON_BINARY_DIR; }

}  // namespace galvatron::testing_paths
