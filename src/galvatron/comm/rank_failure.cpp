#include "galvatron/comm/rank_failure.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <sys/wait.h>

#include "galvatron/base/error.h"

namespace galvatron::comm {
namespace {

constexpr int kBadInputExit = 2, kFailureExit = 1;

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \r\n");
  if (end == std::string::npos) return "";
  const std::size_t begin = text.find_last_of("\r\n", end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin + 1) + 1);
}

std::string without_name(const std::string& words) {
  constexpr std::string_view kName = "galvatron: ";
  return words.starts_with(kName) ? words.substr(kName.size()) : words;
}

// Failures that another rank's end causes, in the words of the backends.
bool is_echo(const std::string& line) {
  constexpr std::string_view kEchoes[] = {
      "lost the connection to rank", "gave up",        "dropped the group",
      "was dropped after a failure", "lost the store", "could not be connected"};
  return std::any_of(std::begin(kEchoes), std::end(kEchoes),
                     [&](std::string_view echo) { return line.find(echo) != std::string::npos; });
}

bool rank_0_exited(std::span<const RankFailure> failures, int code) {
  return std::any_of(failures.begin(), failures.end(), [&](const RankFailure& failure) {
    return failure.rank == 0 && WIFEXITED(failure.status) && WEXITSTATUS(failure.status) == code;
  });
}

// Lower is nearer to the cause.
int distance_from_cause(const RankFailure& failure) {
  if (WIFSIGNALED(failure.status)) return 0;
  if (WEXITSTATUS(failure.status) != 1) return 1;
  if (failure.rank == 0) return 3;  // unknown: it has said it itself
  return is_echo(last_line(failure.said)) ? 4 : 2;
}

}  // namespace

int exit_code(const RankFailure& failure) {
  return WIFSIGNALED(failure.status) ? 1 : WEXITSTATUS(failure.status);
}

const RankFailure& root_cause(std::span<const RankFailure> failures) {
  GALV_CHECK(!failures.empty());
  return *std::min_element(failures.begin(), failures.end(), [](const auto& a, const auto& b) {
    return distance_from_cause(a) < distance_from_cause(b);
  });
}

std::string describe_failure(const RankFailure& cause, std::span<const RankFailure> failures,
                             const LastSigns& signs) {
  const std::string words = last_line(cause.said);
  if (WIFEXITED(cause.status) && WEXITSTATUS(cause.status) == kBadInputExit)
    return rank_0_exited(failures, kBadInputExit) ? "" : words;
  if (WIFEXITED(cause.status) && !signs.verdict.empty()) {
    if (rank_0_exited(failures, kFailureExit)) return "";
    return detail::concat("galvatron: ", signs.verdict, "; the ranks were ended");
  }
  std::string sentence = detail::concat("galvatron: rank ", cause.rank);
  if (WIFSIGNALED(cause.status)) {
    const int signal = WTERMSIG(cause.status);
    sentence += detail::concat(" was killed by signal ", signal, " (", strsignal(signal), ")");
  } else {
    sentence += detail::concat(" failed with exit code ", WEXITSTATUS(cause.status));
  }
  sentence += "; the other ranks were ended";
  const bool has_words = WIFEXITED(cause.status);  // of its own
  if (!has_words && !signs.last_seen.empty()) sentence += "; it was last seen " + signs.last_seen;
  if (!words.empty()) sentence += ". Its last words: " + without_name(words);
  return sentence;
}

}  // namespace galvatron::comm
