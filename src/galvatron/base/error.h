// Three kinds of failure, three tools: ConfigError (the user gave something impossible, exit 2),
// GALV_CHECK (we broke our own promise, exit 70), and plain values such as std::optional for an
// expected "no".
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace galvatron {

namespace detail {
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
}  // namespace detail

// One sentence that names the values and the way out. Exit code 2.
class ConfigError : public std::runtime_error {
 public:
  template <typename... Parts>
  explicit ConfigError(const Parts&... parts) : std::runtime_error(detail::concat(parts...)) {}
};

// A peer or the machine failed while we ran (a rank died, a disk is full). Exit code 1.
class RuntimeFailure : public std::runtime_error {
 public:
  template <typename... Parts>
  explicit RuntimeFailure(const Parts&... parts) : std::runtime_error(detail::concat(parts...)) {}
};

// A promise of ours that did not hold. Exit code 70.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void throw_internal_error(const char* file, int line, const char* condition,
                                       const std::string& message);

std::string lower_case(std::string_view text);  // of ASCII letters
// In lower case without '-', '_' and spaces: "RTX 4090" and "rtx4090" are one name.
std::string plain_name(std::string_view name);

// The candidate nearest to `word` by edit distance, or "" when none is near enough to be meant.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

// The `count` candidates nearest to `word`, the nearest first, however far they are; their case
// does not count.
std::vector<std::string> nearest_names(std::string_view word, std::vector<std::string> candidates,
                                       std::size_t count);

// ", did you mean 'x'?", "; x is not supported yet" of a name that is still to come, or "": the
// usual ending of an "unknown name" message.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace galvatron

#define GALV_CHECK(condition, ...)                                     \
  do {                                                                 \
    if (!(condition)) [[unlikely]] {                                   \
      ::galvatron::throw_internal_error(                               \
          __FILE__, __LINE__, #condition,                              \
          ::galvatron::detail::concat("" __VA_OPT__(, ) __VA_ARGS__)); \
    }                                                                  \
  } while (false)
