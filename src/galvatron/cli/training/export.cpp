// galvatron export: any checkpoint as a Hugging Face folder.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "galvatron/cli/training/commands.h"
#include "galvatron/train/checkpoint_export.h"

namespace galvatron::cli {
namespace {

constexpr const char* kExportExamples =
    "Examples:\n"
    "  galvatron export save --output out                    the latest checkpoint in save\n"
    "  galvatron export save/step-000500 --output out --precision bf16";

int export_folder(const train::CheckpointExport& request) {
  const train::ExportedCheckpoint done = train::export_checkpoint(request);
  for (const std::string& note : done.notes) fmt::print(stderr, "{}\n", note);
  fmt::print("{} after step {} ({} weights)\n  from {}\n  written to {}\n", done.model, done.step,
             done.num_weights, done.checkpoint.string(), request.output);
  return 0;
}

}  // namespace

void add_export_command(CommandLine& line) {
  const auto request = std::make_shared<train::CheckpointExport>();
  CLI::App& command =
      line.add("export", kExportExamples, [request] { return export_folder(*request); });
  add_options(command, train::export_options(*request));
}

}  // namespace galvatron::cli
