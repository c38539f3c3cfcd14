// galvatron visualize: the page that shows memory, time and plan, and searches.
#include <csignal>
#include <cstdio>
#include <memory>

#include <spawn.h>

#include "galvatron/cli/commands.h"
#include "galvatron/server/visualizer.h"

extern char** environ;

namespace galvatron::cli {
namespace {

constexpr const char* kVisualizeExamples =
    "Examples:\n"
    "  galvatron visualize\n"
    "  galvatron visualize plan.json hardware.json --open\n"
    "  galvatron visualize runs/first                        a run, also while it goes on\n"
    "  galvatron visualize --host 0.0.0.0 --port 8000        from other machines, with a token";

struct VisualizeCommand {
  server::VisualizerOptions options;
  bool open = false;
};

// The desktop's own choice of a browser; says so where there is none.
void open_browser(const std::string& address) {
  std::string program = "xdg-open", argument = address;
  char* const arguments[] = {program.data(), argument.data(), nullptr};
  pid_t process = 0;
  std::signal(SIGCHLD, SIG_IGN);  // nobody waits for it
  if (posix_spawnp(&process, program.c_str(), nullptr, nullptr, arguments, environ) != 0) {
    std::printf("there is no xdg-open here: open the address yourself\n");
  }
}

int visualize(const VisualizeCommand& command) {
  server::Visualizer visualizer(command.options, GALVATRON_VERSION);
  std::printf("%s\n", visualizer.address().c_str());
  std::printf("Ctrl-C ends it\n");
  if (command.open) open_browser(visualizer.address());
  std::fflush(stdout);
  visualizer.run(/*signals=*/true);
  return 0;
}

OptionList options_of(VisualizeCommand& command) {
  OptionList list = server::visualizer_options(command.options);
  list.flag("open", command.open, "Open the page in the browser");
  return list;
}

}  // namespace

void add_visualize_command(CommandLine& line) {
  const auto command = std::make_shared<VisualizeCommand>();
  CLI::App& app =
      line.add("visualize", kVisualizeExamples, [command] { return visualize(*command); });
  add_options(app, options_of(*command));
}

}  // namespace galvatron::cli
