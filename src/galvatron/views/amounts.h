// Small parts of all views. A number stands beside the text that the command line prints for it.
#pragma once
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/base/partition.h"
#include "galvatron/base/units.h"

namespace galvatron::views {

// {"value": ..., "text": ...}
inline OrderedJson amount(double value, const std::string& text) {
  return {{"value", value}, {"text", text}};
}
inline OrderedJson amount(Bytes bytes) {
  return {{"value", bytes.value}, {"text", to_text(bytes)}};
}
inline OrderedJson amount(Milliseconds time) {
  return {{"value", time.value}, {"text", to_text(time)}};
}
// Null where it is not known.
inline OrderedJson amount_or_null(Bytes bytes) {
  return bytes.value > 0 ? amount(bytes) : OrderedJson(nullptr);
}

// [first, last], both included.
inline OrderedJson first_and_last(Range range) {
  return OrderedJson::array({range.begin, range.end - 1});
}

// "" of what is not known is null.
inline OrderedJson text_or_null(const std::string& text) {
  return text.empty() ? OrderedJson(nullptr) : OrderedJson(text);
}

}  // namespace galvatron::views
