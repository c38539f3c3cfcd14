#include "galvatron/train/step_ranges.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/option.h"

namespace galvatron::train {
namespace {

std::optional<std::int64_t> parse_step(std::string_view text) {
  std::int64_t step = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, step);
  return error == std::errc() && rest == end && step > 0 ? std::optional(step) : std::nullopt;
}

// "10" or "10..12".
std::optional<Range> parse_step_range(const std::string& text) {
  const std::size_t dots = text.find("..");
  const auto first = parse_step(std::string_view(text).substr(0, dots));
  const auto last =
      dots == std::string::npos ? first : parse_step(std::string_view(text).substr(dots + 2));
  if (!first || !last || *last < *first || *last == INT64_MAX) return std::nullopt;
  return Range{*first, *last + 1};
}

}  // namespace

StepRanges StepRanges::parse(const std::string& text, const std::string& shown) {
  std::vector<Range> given;
  for (const std::string& part : split_list(text)) {
    const std::optional<Range> range = parse_step_range(part);
    if (!range) {
      throw ConfigError(shown, " needs steps from 1 on, such as 10..12,20, not '", text, "'");
    }
    given.push_back(*range);
  }
  std::sort(given.begin(), given.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  StepRanges out;
  std::int64_t count = 0;
  for (const Range& range : given) {
    std::vector<Range>& all = out.ranges_;
    const bool goes_on = !all.empty() && range.begin <= all.back().end;
    const std::int64_t end = goes_on ? std::max(all.back().end, range.end) : range.end;
    const std::int64_t more = goes_on ? end - all.back().end : range.size();
    if (more > kMost - count) {
      throw ConfigError(shown, " names more than ", kMost, " steps, '", text,
                        "': name fewer, as all of them are kept in memory until the last is done");
    }
    count += more;
    if (goes_on) {
      all.back().end = end;
    } else {
      all.push_back(range);
    }
  }
  return out;
}

bool StepRanges::contains(std::int64_t step) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [step](const Range& range) {
    return range.begin <= step && step < range.end;
  });
}

std::string StepRanges::text() const {
  std::string out;
  for (const Range& range : ranges_) {
    if (!out.empty()) out += ",";
    out += range.size() == 1 ? fmt::format("{}", range.begin)
                             : fmt::format("{}..{}", range.begin, range.end - 1);
  }
  return out;
}

}  // namespace galvatron::train
