// galvatron sweep: the best plans for lists of models, machines, lengths, batches and budgets.
#include "galvatron/planning/sweep.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "galvatron/base/progress.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/results.h"

namespace galvatron::cli {
namespace {

constexpr const char* kSweepExamples =
    "Examples:\n"
    "  galvatron sweep --model llama2-7b,llama2-13b --cluster 8xA100-40G,8xA100 --global-batch 64 "
    "--seq-length 2048,4096\n"
    "  galvatron sweep --model llama2-70b --cluster 64xH100 --world-size 16,32,64 --global-batch "
    "256:1024:256 --csv sweep.csv --html sweep.html\n"
    "  galvatron sweep --model llama2-7b --cluster 8xA100 --global-batch 64 --memory "
    "24GiB:80GiB:8GiB\n"
    "Exit codes: 0 some row has a plan, 2 something you gave is impossible, 3 nothing fits "
    "anywhere, 70 our own bug.";

struct SweepCommand {
  planning::SweepRequest request;
  planning::ResultFiles files;
};

int run_sweep(const SweepCommand& command) {
  require_writable(command.files);
  std::optional<ProgressBar> bar;
  const auto progress = [&](std::size_t done, std::size_t total) {
    if (!bar) bar.emplace("sweep", static_cast<std::int64_t>(total), stderr, kPatience);
    bar->update(static_cast<std::int64_t>(done));
  };
  const std::vector<planning::SweepRow> rows = planning::run_sweep(command.request, progress);
  if (bar) bar->finish();
  std::printf("%s\n", planning::sweep_title(rows).c_str());
  const std::optional<planning::Chart> chart = sweep_chart(rows);
  show_results({sweep_table(rows), sweep_notes(rows), sweep_to_json(rows), chart}, command.files);
  return chart ? 0 : kExitNothingFits;
}

OptionList options_of(SweepCommand& command) {
  OptionList list = planning::sweep_options(command.request);
  list.append(planning::result_file_options(command.files));
  return list;
}

}  // namespace

void add_sweep_command(CommandLine& line) {
  const auto command = std::make_shared<SweepCommand>();
  CLI::App& app = line.add("sweep", kSweepExamples, [command] { return run_sweep(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
