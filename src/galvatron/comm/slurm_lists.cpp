#include "galvatron/comm/slurm_lists.h"

#include <regex>

#include "galvatron/base/error.h"

namespace galvatron::comm {

std::string first_slurm_host(const std::string& nodelist, const std::string& variable) {
  // A name, whose bracketed parts are ranges or lists: the first host takes the first number of
  // each.
  static const std::regex first_entry(R"(^((?:[A-Za-z0-9._-]+|\[[0-9][0-9,-]*\])+)(?:,.*)?$)");
  static const std::regex bracket(R"(\[([0-9]+)[0-9,-]*\])");
  std::smatch match;
  if (!std::regex_match(nodelist, match, first_entry)) {
    throw ConfigError("[launch] ", variable, "='", nodelist, "' is no list of Slurm hosts");
  }
  return std::regex_replace(match[1].str(), bracket, "$1");
}

std::vector<int> slurm_counts(const std::string& text, const std::string& variable) {
  static const std::regex list(R"(^[0-9]{1,6}(\(x[0-9]{1,6}\))?(,[0-9]{1,6}(\(x[0-9]{1,6}\))?)*$)");
  static const std::regex entry(R"(([0-9]+)(?:\(x([0-9]+)\))?)");
  if (!std::regex_match(text, list)) {
    throw ConfigError("[launch] ", variable, "='", text, "' is no list of task counts");
  }
  std::vector<int> counts;
  for (std::sregex_iterator it(text.begin(), text.end(), entry), end; it != end; ++it) {
    const int repeat = (*it)[2].matched ? std::stoi((*it)[2]) : 1;
    counts.insert(counts.end(), repeat, std::stoi((*it)[1]));
  }
  return counts;
}

}  // namespace galvatron::comm
