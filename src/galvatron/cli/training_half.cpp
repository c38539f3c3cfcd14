#include "galvatron/cli/training_half.h"

#include <dlfcn.h>

#include "galvatron/base/error.h"
#include "galvatron/base/own_folder.h"

namespace galvatron::cli {

int run_in_training_half(const std::string& command, const std::vector<std::string>& arguments) {
  const auto path = find_own_library(kTrainingLibrary);
  if (!path) {
    throw ConfigError("galvatron ", command, " needs the training half, and ", kTrainingLibrary,
                      " is not beside the binary: this build has the planning half alone; build "
                      "with torch (make build, or pip install . in a checkout)");
  }
  // Global symbols and never closed: plugins of torch find the one copy of it here.
  void* library = dlopen(path->c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  if (!library) {
    throw ConfigError("galvatron ", command,
                      " needs torch " GALVATRON_TORCH_VERSION ": pip install 'galvatron[train]' (",
                      dlerror(), ")");
  }
  auto* const entry = reinterpret_cast<TrainingEntry*>(dlsym(library, kTrainingEntry));
  if (!entry) {
    throw ConfigError("galvatron ", command, ": ", path->string(),
                      " is of another version than the ", "binary (", GALVATRON_VERSION,
                      "); build or install both together");
  }
  std::vector<const char*> argv = {"galvatron"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return entry(GALVATRON_VERSION, static_cast<int>(argv.size()), argv.data());
}

}  // namespace galvatron::cli
