#include "galvatron/base/error.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <numeric>

namespace galvatron {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

// Names that people know and that we do not have yet, and what is there: no misspelling of one that
// we have.
struct NotYet {
  std::string_view name, instead;
};
constexpr NotYet kNotYet[] = {{"fp8", "train has --fp8, beside bf16"}};

}  // namespace

void throw_internal_error(const char* file, int line, const char* condition,
                          const std::string& message) {
  throw InternalError(detail::concat("internal error at ", file, ":", line, ": ", condition,
                                     " does not hold", message.empty() ? "" : ": ", message));
}

std::string lower_case(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string plain_name(std::string_view name) {
  std::string out = lower_case(name);
  std::erase_if(out, [](char c) { return c == '-' || c == '_' || c == ' '; });
  return out;
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best;
}

std::vector<std::string> nearest_names(std::string_view word, std::vector<std::string> candidates,
                                       std::size_t count) {
  const std::string wanted = lower_case(word);
  std::stable_sort(
      candidates.begin(), candidates.end(), [&](const std::string& a, const std::string& b) {
        return edit_distance(wanted, lower_case(a)) < edit_distance(wanted, lower_case(b));
      });
  candidates.resize(std::min(count, candidates.size()));
  return candidates;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  for (const NotYet& known : kNotYet) {
    if (word == known.name)
      return detail::concat("; ", word, " is not supported yet; ", known.instead);
  }
  const std::string nearest = nearest_name(word, candidates);
  return nearest.empty() ? "" : ", did you mean '" + nearest + "'?";
}

}  // namespace galvatron
