#include "galvatron/comm/backends/error_text.h"

#include <c10/util/Exception.h>

namespace galvatron::comm {

std::string short_reason(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  text = text.substr(0, text.find('\n'));
  while (text.starts_with('[') && text.find("] ") != std::string::npos) {
    text = text.substr(text.find("] ") + 2);
  }
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text.empty() ? "no reason was given" : text;
}

}  // namespace galvatron::comm
