#include "galvatron/server/http.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::server {
namespace {

bool has_name(const HttpHeader& header, std::string_view name) {
  return lower_case(header.name) == lower_case(name);
}

}  // namespace

const std::string* HttpRequest::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const HttpHeader& one) { return has_name(one, name); });
  return found == headers.end() ? nullptr : &found->value;
}

int HttpRequest::count_headers(std::string_view name) const {
  return static_cast<int>(std::count_if(
      headers.begin(), headers.end(), [&](const HttpHeader& one) { return has_name(one, name); }));
}

}  // namespace galvatron::server
