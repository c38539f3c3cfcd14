// How help looks: "--steps N   Optimizer steps [100]", within the width of the terminal.
#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace galvatron::cli {

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  explicit HelpFormatter(int width);
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_description(const CLI::App* app) const override;
  // Prose is wrapped; indented lines are commands, which go on behind a backslash.
  std::string make_footer(const CLI::App* app) const override;
  // Those without a name: the others stand among the options.
  std::string make_positionals(const CLI::App* app) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;

 private:
  std::string entry(const std::string& name, const std::string& text) const;

  int width_;
};

}  // namespace galvatron::cli
