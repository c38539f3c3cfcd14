#include "galvatron/views/report_page.h"

#include "galvatron/base/error.h"
#include "galvatron/base/utf8.h"

namespace galvatron::views {
namespace {

constexpr std::string_view kElement = "<script id=\"galvatron-run\" type=\"application/json\">";

// JSON has '<' in texts alone, where it may stand as an escape.
std::string script_text(const OrderedJson& value) {
  std::string out;
  for (const char c : dump_utf8(value)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string report_page(std::string_view page, const OrderedJson& run) {
  const std::size_t element = page.find(kElement);
  GALV_CHECK(element != std::string_view::npos, "the page of reports has no place for a run");
  const std::size_t place = element + kElement.size();
  return std::string(page.substr(0, place)) + script_text(run) + std::string(page.substr(place));
}

}  // namespace galvatron::views
