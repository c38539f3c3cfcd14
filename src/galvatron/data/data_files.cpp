#include "galvatron/data/data_files.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/user_path.h"

namespace galvatron::data {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// "books" of "books.bin".
std::optional<std::string> stem(const std::string& name, const std::vector<std::string>& suffixes) {
  for (const std::string& suffix : suffixes) {
    if (name.size() > suffix.size() && name.ends_with(suffix))
      return name.substr(0, name.size() - suffix.size());
  }
  return std::nullopt;
}

std::vector<std::string> prefixes_in(const fs::path& folder,
                                     const std::vector<std::string>& suffixes) {
  std::set<std::string> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const auto prefix = stem(entry.path().string(), suffixes);
    if (prefix && has_data_files(*prefix, suffixes)) found.insert(*prefix);
  }
  return {found.begin(), found.end()};
}

std::string names(const std::string& prefix, const std::vector<std::string>& suffixes) {
  return fmt::format("{}{}", prefix, fmt::join(suffixes, " and " + prefix));
}

// What is there instead of the files, and what to give.
std::string likely_meant(const std::string& prefix, const std::vector<std::string>& suffixes) {
  if (const auto shorter = stem(prefix, suffixes); shorter && has_data_files(*shorter, suffixes))
    return fmt::format("is one of two files; give their prefix, {}", *shorter);
  if (is_folder(prefix)) {
    constexpr std::size_t kMost = 5;
    std::vector<std::string> there = prefixes_in(prefix, suffixes);
    if (there.empty()) return "is a folder that holds none of them";
    const bool more = there.size() > kMost;
    there.resize(std::min(there.size(), kMost));
    return fmt::format("is a folder; give {}{}", fmt::join(there, " or "), more ? ", ..." : "");
  }
  for (const std::string& suffix : suffixes) {
    if (!is_file(prefix + suffix)) continue;
    std::vector<std::string> missing = suffixes;
    std::erase_if(missing, [&](const std::string& other) { return is_file(prefix + other); });
    return fmt::format("has {}{}, but {} is missing beside it", prefix, suffix,
                       names(prefix, missing));
  }
  return fmt::format("stands for {}, which are not there; galvatron-data makes them",
                     names(prefix, suffixes));
}

}  // namespace

bool has_data_files(const std::string& prefix, const std::vector<std::string>& suffixes) {
  return std::all_of(suffixes.begin(), suffixes.end(),
                     [&](const std::string& suffix) { return is_file(prefix + suffix); });
}

void require_data_files(const fs::path& prefix, const std::vector<std::string>& suffixes,
                        const std::string& option) {
  if (has_data_files(prefix.string(), suffixes)) return;
  refuse_address(prefix.string(), detail::concat("[data] ", option));
  throw ConfigError("[data] ", option, " is the PREFIX of ", names("PREFIX", suffixes), "; '",
                    prefix.string(), "' ", likely_meant(prefix.string(), suffixes));
}

}  // namespace galvatron::data
