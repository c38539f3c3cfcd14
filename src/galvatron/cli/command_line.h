// From argv to a command's run(): subcommands, --config files, and one sentence for whatever is
// wrong.
#pragma once
#include <array>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace galvatron::cli {

// Exit codes of the binary, beside 0.
constexpr int kExitRuntimeFailure = 1;  // a rank, a file system or a device failed while we ran
constexpr int kExitBadInput = 2;        // ConfigError
constexpr int kExitNothingFits = 3;     // the search found no plan
constexpr int kExitInternalError = 70;  // our own bug

// Every command of the binary, in the order in which a user needs them.
struct CommandEntry {
  const char* name;
  const char* summary;
  bool trains;  // belongs to the training half (training_half.h)
};
inline constexpr std::array kCommands = {
    CommandEntry{"models", "List the presets, or the numbers of one model", false},
    CommandEntry{"profile-hardware", "Measure collectives, contention and memory of the ranks",
                 true},
    CommandEntry{"profile-model", "Measure time and memory of a model's layers", true},
    CommandEntry{"search", "Find the best plan for a model on a cluster", false},
    CommandEntry{"sweep", "Best plans for lists of models, machines, lengths, batches, budgets",
                 false},
    CommandEntry{"train", "Train a model under a plan", true},
    CommandEntry{"evaluate", "Loss and accuracy of weights over data, without training", true},
    CommandEntry{"report", "One HTML page about a training run, or the run live in the browser",
                 false},
    CommandEntry{"export", "Write any checkpoint's weights as a Hugging Face folder", true},
    CommandEntry{"simulate", "Time, memory and timeline of a plan, without running it", false},
    CommandEntry{"visualize", "See memory, time and plan in the browser, change them, search",
                 false},
    CommandEntry{"check", "Say whether a plan can be trained, and draw it", false},
    CommandEntry{"convert", "Write a plan of Galvatron-2's as one of ours, or the other way",
                 false},
    CommandEntry{"clusters", "Named devices and clusters, and where their numbers come from",
                 false},
};

// Runs `command` and returns its exit code; every failure becomes one sentence on standard error.
// `reason`: what to say of an exception that is none of ours.
int run_guarded(const std::function<int()>& command,
                const std::function<std::string(const std::exception&)>& reason);

class CommandLine {
 public:
  using Run = std::function<int()>;  // returns the exit code

  CommandLine();

  // Gives a command of kCommands its options and what it does. `examples` ends its help. Options
  // are added to the result, best by the functions of options.h; --config is there already.
  CLI::App& add(const std::string& name, const std::string& examples, Run run);
  // A command whose arguments are somebody else's: `run` finds them in arguments().
  void forward(const std::string& name, Run run);
  // Such a command, where it is given `option`, runs here as add() described it.
  void keep(const std::string& name, const std::string& option);

  // Parses and runs. ConfigError for anything that is wrong with the arguments.
  int run(int argc, const char* const* argv);

  // What run() was given, without the name of the binary: for commands that start themselves again
  // as ranks.
  const std::vector<std::string>& arguments() const { return arguments_; }

 private:
  bool is_forwarded(const std::string& name) const;
  int parse_and_run(const std::string& name, const std::vector<std::string>& arguments);

  CLI::App app_;
  std::map<std::string, Run> runs_, forwarded_;
  std::map<std::string, std::string> kept_;  // option by command
  std::vector<std::string> arguments_;
};

// The arguments of a command with those of its TOML file behind them; what the command line gives
// wins. Keys are option names without dashes. Keys at the top and in the table [<command>] count,
// the table's before those at the top; tables of other commands are left alone. A list is several
// values of an option that may be given several times, else one value joined by commas. ConfigError
// for a key that is no option, naming the nearest, and for one that stands twice in its table.
std::vector<std::string> with_config_file(const std::vector<std::string>& arguments,
                                          const CLI::App& command,
                                          const std::vector<std::string>& all_commands);

}  // namespace galvatron::cli
