#include "galvatron/comm/hostfile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include "galvatron/base/error.h"

namespace galvatron::comm {
namespace {

constexpr const char* kHostName = R"((?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9_][A-Za-z0-9_.-]*)";

Host parse_line(const std::string& line, const std::string& where) {
  static const std::regex entry("(" + std::string(kHostName) +
                                R"()(?::([1-9][0-9]{0,3}))?((?:\s+[a-z_-]+\s*=\s*\S+)*)\s*)");
  static const std::regex key(R"(([a-z_-]+)\s*=\s*(\S+))");
  static const std::regex count("[1-9][0-9]{0,3}");
  std::smatch match;
  if (!std::regex_match(line, match, entry)) {
    throw ConfigError("[hostfile] ", where, ": '", line,
                      "' is no host: write its name, and slots=N for N ranks there");
  }
  Host host{match[1], std::nullopt};
  if (match[2].matched) host.slots = std::stoi(match[2]);
  const std::string keys = match[3];
  for (std::sregex_iterator it(keys.begin(), keys.end(), key), end; it != end; ++it) {
    const std::string name = (*it)[1], value = (*it)[2];
    if (name == "max_slots" || name == "max-slots") continue;  // Open MPI's
    if (name != "slots" || !std::regex_match(value, count)) {
      throw ConfigError("[hostfile] ", where, ": '", name, "=", value,
                        "' is not slots=N with N from 1 to 9999");
    }
    host.slots = std::stoi(value);
  }
  return host;
}

std::string without_comment(const std::string& line) {
  const std::string text = line.substr(0, line.find('#'));
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

}  // namespace

std::vector<Host> parse_hostfile(const std::string& text, const std::string& source) {
  std::vector<Host> hosts;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = without_comment(line);
    if (line.empty()) continue;
    const Host host = parse_line(line, detail::concat(source, " line ", number));
    const auto known = std::find_if(hosts.begin(), hosts.end(),
                                    [&](const Host& other) { return other.name == host.name; });
    if (known == hosts.end()) {
      hosts.push_back(host);
    } else {
      known->slots = known->slots.value_or(1) + host.slots.value_or(1);
    }
  }
  if (hosts.empty()) throw ConfigError("[hostfile] ", source, " names no host");
  return hosts;
}

std::vector<Host> read_hostfile(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) throw ConfigError("[hostfile] cannot read ", path, ": ", std::strerror(errno));
  return parse_hostfile(text, path);
}

std::vector<int> ranks_of_hosts(const std::vector<Host>& hosts, std::optional<int> nproc) {
  std::vector<int> ranks;
  for (const Host& host : hosts) {
    if (nproc && host.slots && *host.slots < *nproc) {
      throw ConfigError("[hostfile] --nproc ", *nproc, ", but ", host.name,
                        " has slots=", *host.slots,
                        ": leave --nproc away to start as many as it has");
    }
    ranks.push_back(nproc.value_or(host.slots.value_or(1)));
  }
  return ranks;
}

}  // namespace galvatron::comm
