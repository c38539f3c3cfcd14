#include "galvatron/cli/results.h"

#include <cstdio>

#include "galvatron/cli/output_file.h"

namespace galvatron::cli {
void require_writable(const planning::ResultFiles& files) {
  for (const auto& [option, path] : files.wanted()) require_writable(path, option);
}

void show_results(const planning::Results& results, const planning::ResultFiles& files) {
  if (!results.table.empty()) std::printf("%s", results.table.to_text().c_str());
  std::printf("%s", results.notes.c_str());
  write_results(files, results);
  for (const auto& [option, path] : files.wanted()) {
    const bool drawn = option != "--svg" || results.chart;
    std::printf("  %s %s\n", drawn ? "written to" : "nothing to draw in", path.c_str());
  }
}

}  // namespace galvatron::cli
