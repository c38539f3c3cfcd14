#include "galvatron/base/user_path.h"

#include <cstdlib>
#include <string_view>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

constexpr std::string_view kScheme = "://";
constexpr std::string_view kFile = "file://";

// "s3" of "s3://bucket"; empty: it is no address.
std::string_view scheme_of(std::string_view text) {
  constexpr std::string_view kOfSchemes = "abcdefghijklmnopqrstuvwxyz0123456789+.-";
  const std::string_view scheme = text.substr(0, text.find(kScheme));
  const bool is_one = scheme.size() > 1 && scheme.size() < text.size() &&
                      scheme.find_first_not_of(kOfSchemes) == std::string_view::npos;
  return is_one ? scheme : std::string_view();
}

}  // namespace

std::string user_path(const std::string& text) {
  if (text.starts_with(kFile) && text.substr(kFile.size()).starts_with('/'))
    return text.substr(kFile.size());
  const char* home = std::getenv("HOME");
  const bool is_at_home = text == "~" || text.starts_with("~/");
  return is_at_home && home && *home ? home + text.substr(1) : text;
}

std::filesystem::path plain_path(const std::filesystem::path& path) {
  const std::filesystem::path whole =
      std::filesystem::weakly_canonical(std::filesystem::absolute(path));
  return whole.has_filename() ? whole : whole.parent_path();
}

void refuse_address(const std::string& path, const std::string& what) {
  if (scheme_of(path).empty()) return;
  throw ConfigError(what, " ", path, " is an address (", scheme_of(path),
                    "), and galvatron reads and writes folders alone: mount it, or name a folder "
                    "here and copy it");
}

std::string path_problem(const std::filesystem::filesystem_error& error) {
  return detail::concat("[file] cannot use ", error.path1().string(), ": ", error.code().message());
}

std::string broken_link_text(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error) || std::filesystem::exists(path, error)) return "";
  return detail::concat("; it is a link to ", std::filesystem::read_symlink(path, error).string(),
                        ", which is not there");
}

}  // namespace galvatron
