#include "galvatron/profiles/nccl_tests.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

constexpr std::array kOperations = {"all_reduce", "all_gather", "reduce_scatter", "alltoall",
                                    "sendrecv",   "broadcast",  "reduce",         "gather",
                                    "scatter",    "hypercube",  "alltoallv"};
constexpr std::array kFailures = {"Test NCCL failure", "Test CUDA failure", "Test failure",
                                  "# error:"};
constexpr std::int64_t kMostFileBytes = std::int64_t{64} << 20;
constexpr int kMostAggregated = 1 << 20;

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(std::move(word));
  return words;
}

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_count(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

// The whole of the word, or nothing.
template <typename Number>
std::optional<Number> number_of(std::string_view word) {
  Number out{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return out;
}

std::string trimmed(const std::string& line) {
  constexpr const char* kSpace = " \t\r";
  const std::size_t first = line.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return line.substr(first, line.find_last_not_of(kSpace) + 1 - first);
}

// Without what launchers write in front of every line: "[1,0]<stdout>:", "[0] ", "0: ".
std::string without_prefix(const std::string& whole) {
  std::string line = trimmed(whole);
  if (line.starts_with('[')) {
    const std::size_t end = line.find(']');
    if (end == std::string::npos) return line;
    line.erase(0, end + 1);
    if (line.starts_with('<') && line.find('>') != std::string::npos) {
      line.erase(0, line.find('>') + 1);
    }
    if (line.starts_with(':')) line.erase(0, 1);
    return trimmed(line);
  }
  const std::size_t digits = line.find_first_not_of("0123456789");
  const bool is_task =
      digits != std::string::npos && digits > 0 && line.substr(digits).starts_with(": ");
  return is_task ? trimmed(line.substr(digits + 2)) : line;
}

// "warmup iters: 5": what stands behind the words, as a number.
std::optional<int> number_behind(const std::string& line, const std::string& words) {
  const std::size_t at = line.find(words);
  if (at == std::string::npos) return std::nullopt;
  int out = 0;
  return std::sscanf(line.c_str() + at + words.size(), " %d", &out) == 1 ? std::optional(out)
                                                                         : std::nullopt;
}

// "#  Rank  8 Group  0 Pid 496763 on host32 device  0 [0xa4] NVIDIA H100 80GB HBM3"; "Group" came
// with 2.11, and the brackets hold the bus in other ways in others.
std::optional<NcclTestRank> rank_in(const std::string& line) {
  const std::vector<std::string> words = words_of(line);
  const auto behind = [&](std::string_view name) -> std::optional<std::string> {
    const auto at = std::find(words.begin(), words.end(), name);
    if (at == words.end() || at + 1 == words.end()) return std::nullopt;
    return *(at + 1);
  };
  const auto rank = behind("Rank"), host = behind("on"), device = behind("device");
  if (!line.starts_with('#') || !rank || !host || !device || !is_count(*rank)) return std::nullopt;
  NcclTestRank out;
  out.rank = number_of<int>(*rank).value_or(0);
  out.group = number_of<int>(behind("Group").value_or("0")).value_or(0);
  out.host = *host;
  const std::size_t bracket = line.find(']');
  if (bracket != std::string::npos) {
    const std::size_t name = line.find_first_not_of(' ', bracket + 1);
    if (name != std::string::npos) out.device = line.substr(name);
  }
  return out;
}

// Where the columns stand that we read. Counted from the end those of the results, because older
// versions leave "type" or "redop" empty.
struct Columns {
  std::vector<std::string> names;  // without "#"
  std::size_t results = 0;         // first "time", from the front
  bool has_timestamp = false;

  std::size_t behind_results() const { return names.size() - results - (has_timestamp ? 1 : 0); }
};

class TextReader {
 public:
  explicit TextReader(const std::string& source) : source_(source) {}

  std::vector<NcclTestRun> read(const std::string& text) {
    std::istringstream in(text);
    std::string line;
    while (std::getline(in, line)) {
      ++number_;
      take(without_prefix(line));
    }
    close();
    if (runs_.empty()) {
      throw ConfigError("[nccl-tests] ", source_,
                        " has no table of nccl-tests' (\"# size count type ... time algbw "
                        "busbw\"); give what all_reduce_perf and its siblings print, or their "
                        "--json file");
    }
    return std::move(runs_);
  }

 private:
  std::string where() const { return source_ + ", line " + std::to_string(number_); }

  void close() {
    if (columns_) {
      run_.source = source_;
      finish_nccl_run(run_);
      runs_.push_back(std::move(run_));
    }
    run_ = {};
    columns_.reset();
  }

  void take(const std::string& line) {
    for (const char* failure : kFailures) {
      if (line.find(failure) != std::string::npos) {
        throw ConfigError("[nccl-tests] ", where(), ": the run failed: \"", line,
                          "\"; times of a run that did not end say nothing, run it again");
      }
    }
    if (line.starts_with('#')) return take_comment(line);
    const std::vector<std::string> words = words_of(line);
    if (columns_ && !words.empty() && is_count(words[0])) return take_row(words);
    if (const auto operation = nccl_operation_in(line)) command_ = *operation;
  }

  void take_comment(const std::string& line) {
    const std::vector<std::string> words = words_of(line);
    if (line.find("Collective test starting") != std::string::npos) {
      begin();
      run_.operation = nccl_operation_in(line).value_or("");
    } else if (line.find("Collective test concluded") != std::string::npos) {
      close();
    } else if (has(words, "version") && line.find("ccl-tests") != std::string::npos) {
      close();
      const auto at = std::find(words.begin(), words.end(), "version");
      if (at + 1 != words.end()) run_.version = *(at + 1);
    } else if (has(words, "minBytes")) {
      begin();
      run_.aggregated =
          std::clamp(number_behind(line, "agg iters:").value_or(1), 1, kMostAggregated);
    } else if (const auto rank = rank_in(line)) {
      if (columns_) close();
      run_.ranks.push_back(*rank);
    } else if (has(words, "busbw")) {
      take_header(words);
    } else if (has(words, "(ms)") && has(words, "(GB/s)")) {
      throw ConfigError("[nccl-tests] ", where(),
                        ": times in ms; nccl-tests print them in us since 2.0, run a current "
                        "version");
    } else if (line.find("Out of bounds values") != std::string::npos && has(words, "FAILED")) {
      throw ConfigError("[nccl-tests] ", where(), ": \"", line,
                        "\": this machine computes wrongly, its times say nothing");
    }
  }

  // A run behind another one, or behind one that died before its table.
  void begin() {
    if (columns_ || !run_.ranks.empty()) close();
  }

  void take_header(const std::vector<std::string>& words) {
    if (columns_ && !run_.rows.empty()) close();
    Columns columns;
    columns.names.assign(words.begin() + 1, words.end());
    if (has(words, "cputime")) {
      throw ConfigError("[nccl-tests] ", where(),
                        ": CPU times (-C 1), which say nothing of the links; run it without -C");
    }
    const auto time = std::find(columns.names.begin(), columns.names.end(), "time");
    columns.results = static_cast<std::size_t>(time - columns.names.begin());
    columns.has_timestamp = columns.names.back() == "timestamp";
    const bool is_known = columns.names.size() > 2 && columns.names[0] == "size" &&
                          columns.names[1] == "count" && has(words, "algbw") && has(words, "busbw");
    if (!is_known) {
      throw ConfigError("[nccl-tests] ", where(),
                        ": the columns are not those of nccl-tests since 2.0 (size count type ... "
                        "time algbw busbw); run a current version");
    }
    columns_ = std::move(columns);
    if (run_.operation.empty()) run_.operation = command_;
    command_.clear();
  }

  [[noreturn]] void fail_row(const std::string& problem) const {
    throw ConfigError("[nccl-tests] ", where(), ": ", problem,
                      "; the line is cut or mixed with other output, mend it or take it out");
  }

  double result_word(const std::string& word) const {
    const auto value = number_of<double>(word);
    if (!value) fail_row("'" + word + "' where a number belongs");
    return *value;
  }

  NcclTestResult result_at(const std::vector<std::string>& words, std::size_t front,
                           std::size_t column) const {
    NcclTestResult out;
    // "time algbw busbw", and "error" or "#wrong".
    out.microseconds = result_word(words[front + column]);
    out.algorithm_bandwidth = result_word(words[front + column + 1]);
    out.bus_bandwidth = result_word(words[front + column + 2]);
    const std::string& wrong = words[front + column + 3];
    if (wrong != "N/A") out.wrong_values = result_word(wrong);
    return out;
  }

  void take_row(std::vector<std::string> words) {
    if (columns_->has_timestamp && words.size() > 2) words.resize(words.size() - 2);
    const std::size_t behind = columns_->behind_results();
    if (words.size() < behind + 2 || words.size() > behind + columns_->results) {
      fail_row(std::to_string(words.size()) + " columns where the table has " +
               std::to_string(columns_->names.size()));
    }
    const std::size_t front = words.size() - behind;  // of the results
    NcclTestRow row;
    row.where = where();
    row.size = {number_of<std::int64_t>(words[0]).value_or(0)};
    row.count = number_of<std::int64_t>(words[1]).value_or(0);
    if (row.size.value <= 0) return;  // fewer elements than ranks
    for (std::size_t i = 2; i < front; ++i) take_word(words[i], front, i, row);
    std::vector<std::size_t> at;
    for (std::size_t i = columns_->results; i < columns_->names.size(); ++i) {
      if (columns_->names[i] == "time") at.push_back(i - columns_->results);
    }
    if (at.empty() || at.back() + 3 >= behind) fail_row("the table has no column of errors");
    row.out_of_place = result_at(words, front, at[0]);
    if (at.size() > 1) row.in_place = result_at(words, front, at[1]);
    run_.rows.push_back(std::move(row));
  }

  // Of "type redop root": as far as they are there.
  void take_word(const std::string& word, std::size_t front, std::size_t i,
                 NcclTestRow& row) const {
    const std::string& name = columns_->names[i];
    if (i == 2 && name == "type") row.type = word;
    if (i == 3 && name == "redop") row.redop = word;
    if (i + 1 == front && has(columns_->names, "root")) {
      row.root = number_of<int>(word).value_or(-1);
    }
  }

  const std::string& source_;
  int number_ = 0;
  std::vector<NcclTestRun> runs_;
  NcclTestRun run_;
  std::optional<Columns> columns_;  // of the run at hand, once its table began
  std::string command_;             // operation that a command line named
};

}  // namespace

std::optional<std::string> nccl_operation_in(std::string_view text) {
  constexpr std::string_view kEnding = "_perf";
  std::optional<std::string> found;
  for (std::size_t at = text.find(kEnding); at != std::string_view::npos;
       at = text.find(kEnding, at + 1)) {
    std::size_t begin = at;
    while (begin > 0 &&
           (std::islower(static_cast<unsigned char>(text[begin - 1])) || text[begin - 1] == '_')) {
      --begin;
    }
    const std::string_view word = text.substr(begin, at - begin);
    if (std::find(kOperations.begin(), kOperations.end(), word) != kOperations.end()) {
      found = std::string(word);
    }
  }
  return found;
}

std::vector<NcclTestRun> nccl_tests_from_text(const std::string& text, const std::string& source) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') return nccl_tests_from_json(text, source);
  return TextReader(source).read(text);
}

std::vector<NcclTestRun> read_nccl_tests(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw ConfigError("[nccl-tests] ", path.string(), " is a folder; give the files in it");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ConfigError("[nccl-tests] cannot read ", path.string());
  const auto size = std::filesystem::file_size(path, error);
  if (!error && static_cast<std::int64_t>(size) > kMostFileBytes) {
    throw ConfigError("[nccl-tests] ", path.string(), " has ",
                      to_text(Bytes{static_cast<std::int64_t>(size)}),
                      ", more than an output of nccl-tests; give the output alone");
  }
  std::ostringstream text;
  text << file.rdbuf();
  return nccl_tests_from_text(text.str(), path.string());
}

}  // namespace galvatron::profiles
