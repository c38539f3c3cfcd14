#include "galvatron/base/shell_word.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace galvatron {

std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "-_./=,:+@%";
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [&](unsigned char c) {
    return std::isalnum(c) || kPlain.find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace galvatron
