#include "galvatron/http/message.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/base/option.h"

namespace galvatron::http {
namespace {

std::string trimmed(const std::string& text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

// "q=0", "q=0.000".
bool is_no_weight(const std::string& parameter) {
  return parameter.starts_with("q=0") && parameter.find_first_not_of("0.", 2) == std::string::npos;
}

bool has_name(const Header& header, std::string_view name) {
  return lower_case(header.name) == lower_case(name);
}

}  // namespace

const std::string* Request::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const Header& one) { return has_name(one, name); });
  return found == headers.end() ? nullptr : &found->value;
}

int Request::count_headers(std::string_view name) const {
  return static_cast<int>(std::count_if(headers.begin(), headers.end(),
                                        [&](const Header& one) { return has_name(one, name); }));
}

bool Request::accepts(std::string_view name, std::string_view value) const {
  const std::string* list = header(name);
  if (list == nullptr) return false;
  for (const std::string& entry : split_list(lower_case(*list))) {
    const std::vector<std::string> parts = split_list(entry, ';');
    if (parts.empty() || trimmed(parts.front()) != value) continue;
    return std::none_of(parts.begin() + 1, parts.end(),
                        [](const std::string& one) { return is_no_weight(trimmed(one)); });
  }
  return false;
}

}  // namespace galvatron::http
