#include "galvatron/server/failure.h"

#include <cctype>
#include <new>

#include "galvatron/base/error.h"
#include "galvatron/base/utf8.h"
#include "galvatron/server/questions.h"

namespace galvatron::server {
namespace {

constexpr std::size_t kLongestSentence = 2000;

// Of names that somebody sent, nothing that breaks the line; shortened, but not within a character
// of UTF-8.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) c = std::iscntrl(static_cast<unsigned char>(c)) != 0 ? ' ' : c;
  if (text.size() <= kLongestSentence) return text;
  std::size_t end = kLongestSentence;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

Failure failure_of(const std::exception& error) {
  if (dynamic_cast<const ConfigError*>(&error) != nullptr) {
    return {400, in_request_words(error.what())};
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return {500, "there is not enough memory for this answer: ask about less"};
  }
  return {500, error.what()};
}

OrderedJson failure_json(const std::string& sentence) {
  return {{"error", {{"sentence", one_line(sentence)}}}};
}

http::Answer json_answer(const OrderedJson& body, int status) {
  http::Answer out;
  out.status = status;
  out.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  out.body = dump_utf8(body);
  return out;
}

http::Answer failure_answer(int status, const std::string& sentence) {
  return json_answer(failure_json(sentence), status);
}

}  // namespace galvatron::server
