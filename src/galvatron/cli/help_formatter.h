// How help looks: "--steps N   Optimizer steps [100]".
#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace galvatron::cli {

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
};

}  // namespace galvatron::cli
