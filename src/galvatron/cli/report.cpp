// galvatron report: one HTML page about a training run, or the same live.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <fmt/chrono.h>

#include "galvatron/base/error.h"
#include "galvatron/cli/commands.h"
#include "galvatron/cli/output_file.h"
#include "galvatron/profiles/provenance.h"
#include "galvatron/server/page_assets.h"
#include "galvatron/server/visualizer.h"
#include "galvatron/views/report_page.h"
#include "galvatron/views/run_comparison.h"
#include "galvatron/views/run_view.h"

namespace galvatron::cli {
namespace {

constexpr const char* kReportExamples =
    "Examples:\n"
    "  galvatron report runs/first                          writes runs/first/report.html\n"
    "  galvatron report runs/first --output first.html\n"
    "  galvatron report runs/first --calibrate mine.json    what search --calibration reads\n"
    "  galvatron report runs/first --watch                  in the browser, while the run goes on";

struct ReportCommand {
  std::string run, output;
  std::string calibrate;
  bool watch = false;
  int port = 0;
};

int watch_run(const ReportCommand& command) {
  if (!command.output.empty() || !command.calibrate.empty()) {
    throw ConfigError("--watch shows the run in a browser and writes no --output or --calibrate");
  }
  server::VisualizerOptions options;
  options.port = command.port;
  options.files = {command.run};
  options.watches = true;
  server::Visualizer visualizer(options, GALVATRON_VERSION);
  std::printf("%s\nCtrl-C ends it\n", visualizer.address().c_str());
  std::fflush(stdout);
  visualizer.run(/*signals=*/true);
  return 0;
}

// When the run was written, as far as its files say.
std::string date_of(const std::string& run) {
  std::error_code error;
  const auto written =
      std::filesystem::last_write_time(std::filesystem::path(run) / views::kRunMetrics, error);
  if (error) return "";
  const auto when = std::chrono::file_clock::to_sys(written);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(
                         std::chrono::time_point_cast<std::chrono::system_clock::duration>(when))));
}

void calibrate(const ReportCommand& command, const views::Run& run) {
  const planning::Calibration found = views::calibrate(run, date_of(command.run));
  write_json_file(command.calibrate, planning::calibration_to_json(found));
  std::printf(
      "  factors of its parts written to %s: --calibration of search, sweep, simulate and check "
      "reads them\n",
      command.calibrate.c_str());
}

int report(const ReportCommand& command) {
  if (command.watch) return watch_run(command);
  const views::Run run = views::read_run(views::read_run_texts(command.run));
  const std::string output = command.output.empty()
                                 ? (std::filesystem::path(command.run) / "report.html").string()
                                 : command.output;
  require_writable(output, "--output");
  if (!command.calibrate.empty()) require_writable(command.calibrate, "--calibrate");
  for (const std::string& table : {views::run_memory_table(run), views::run_step_table(run)}) {
    if (!table.empty()) std::printf("%s\n", table.c_str());
  }
  if (!command.calibrate.empty()) calibrate(command, run);
  const std::string_view page = server::report_page();
  if (page.empty()) {
    throw ConfigError(
        "this binary was built without the page of reports: `make page` builds it, and `make "
        "build` then the binary with it");
  }
  write_file_atomically(output, views::report_page(page, views::run_view(run)));
  std::printf("%s\n", output.c_str());
  return 0;
}

OptionList options_of(ReportCommand& command) {
  OptionList list;
  list.group("Input");
  list.path("run", command.run, "Folder of the run (galvatron train --run-dir)")
      .required()
      .positional();
  list.group("Output");
  list.path("output", command.output, "The page; default: report.html in the folder of the run");
  list.path("calibrate", command.calibrate,
            "Also write how much longer each part of the step took than predicted, for "
            "--calibration of later searches");
  list.flag("watch", command.watch, "Show the run in a browser instead, while it goes on");
  list.count("port", command.port, {0, server::kMostPort},
             "Of --watch, on this machine; 0: a free one");
  return list;
}

}  // namespace

void add_report_command(CommandLine& line) {
  const auto command = std::make_shared<ReportCommand>();
  CLI::App& app = line.add("report", kReportExamples, [command] { return report(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
