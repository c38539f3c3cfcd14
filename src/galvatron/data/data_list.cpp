#include "galvatron/data/data_list.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::uintmax_t kLargestList = 1 << 20;  // bytes
constexpr const char* kForm = "a blend is weights and names in turn, such as \"0.7 books 0.3 web\"";

// Words between blanks; quotes keep blanks together.
std::vector<std::string> words_of(std::string_view text, const std::string& option) {
  std::vector<std::string> out;
  std::optional<std::string> word;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        *word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      if (!word) word.emplace();
    } else if (kBlanks.find(c) != std::string_view::npos) {
      if (word) out.push_back(*std::exchange(word, std::nullopt));
    } else {
      if (!word) word.emplace();
      *word += c;
    }
  }
  if (quote != 0)
    throw ConfigError("[data] ", option, " has a ", std::string(1, quote),
                      " without its second: ", std::string(text));
  if (word) out.push_back(*word);
  return out;
}

std::string read_list(const std::string& path, const std::string& option) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) {
    throw ConfigError("[data] ", option, " @", path, ": there is no such file; it holds weights ",
                      "and names in turn, over any number of lines");
  }
  if (size > kLargestList)
    throw ConfigError("[data] ", option, " @", path, " has ", size, " bytes, more than the ",
                      kLargestList, " of a list of weights and names");
  std::string out;
  for (std::string line; std::getline(in, line);) out += line.substr(0, line.find('#')) + "\n";
  return out;
}

std::optional<double> number(const std::string& word) {
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (word.empty() || *end != '\0') return std::nullopt;
  return value;
}

double weight_of(const std::string& word, const std::string& name, const std::string& option) {
  const std::optional<double> weight = number(word);
  if (!weight) {
    throw ConfigError("[data] ", option, " has '", word, "' where the weight of ", name,
                      " is due: ", kForm);
  }
  if (!std::isfinite(*weight) || *weight <= 0) {
    throw ConfigError("[data] ", option, " gives ", name, " the weight ", word,
                      ": a weight is a number above 0; leave out what is not to be read");
  }
  return *weight;
}

void refuse_twice(const DataList& list, const std::string& option) {
  std::set<std::string> seen;
  for (const std::string& name : list.names) {
    if (seen.insert(name).second) continue;
    throw ConfigError("[data] ", option, " names ", name,
                      " twice: name it once, with the sum of its weights");
  }
}

DataList weighted(const std::vector<std::string>& words, const std::string& option) {
  if (words.size() % 2 != 0) {
    throw ConfigError("[data] ", option, " ends with ", words.back(), " behind ", words.size() / 2,
                      " pairs of weight and name: ", kForm);
  }
  DataList out;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    out.weights.push_back(weight_of(words[i], words[i + 1], option));
    out.names.push_back(words[i + 1]);
  }
  return out;
}

std::string quoted(const std::string& name) {
  if (name.find_first_of(" \t\r\n\"'") == std::string::npos) return name;
  const char quote = name.find('"') == std::string::npos ? '"' : '\'';
  return quote + name + quote;
}

}  // namespace

DataList parse_data_list(const std::string& text, const std::string& option,
                         const std::function<bool(const std::string&)>& is_there) {
  const bool is_file = text.starts_with('@');
  const bool has_blanks = text.find_first_of(kBlanks) != std::string::npos;
  if (is_there(text) || (!is_file && !has_blanks)) return {{text}, {}};
  const std::string list = is_file ? read_list(text.substr(1), option) : text;
  const std::vector<std::string> words = words_of(list, option);
  if (words.empty())
    throw ConfigError("[data] ", option, " ", is_file ? text : "", " names nothing: ", kForm);
  DataList out;
  if (words.size() > 1 && number(words[0])) {
    out = weighted(words, option);
  } else if (is_file || words.size() == 1 || std::ranges::all_of(words, is_there)) {
    out.names = words;
  } else {
    out.names = {text};  // a name with blanks, of which nothing is there
  }
  refuse_twice(out, option);
  return out;
}

std::string to_text(const DataList& list) {
  if (list.names.size() == 1) return list.names[0];
  std::string out;
  for (std::size_t i = 0; i < list.names.size(); ++i) {
    if (i > 0) out += ' ';
    if (!list.weights.empty()) out += fmt::format("{} ", list.weights[i]);
    out += quoted(list.names[i]);
  }
  return out;
}

}  // namespace galvatron::data
