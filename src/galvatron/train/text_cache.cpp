#include "galvatron/train/text_cache.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "galvatron/base/cache_folder.h"
#include "galvatron/base/error.h"
#include "galvatron/base/shell_word.h"
#include "galvatron/data/data_files.h"
#include "galvatron/train/python_tool.h"
#include "galvatron/train/text_samples.h"
#include "galvatron/train/train_job.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

// What galvatron-data knows by its ending (python/galvatron/data/sources.py), each also compressed.
constexpr std::array<std::string_view, 13> kTextEndings = {
    ".txt",     ".text", ".md",    ".rst",     ".jsonl", ".ndjson", ".json",
    ".parquet", ".pq",   ".arrow", ".feather", ".csv",   ".tsv"};
constexpr std::array<std::string_view, 4> kCompressions = {".gz", ".bz2", ".xz", ".zst"};
constexpr int kRefused = 2, kInterrupted = 130;  // exit codes of galvatron-data

std::string small_ending(const fs::path& name) {
  std::string ending = name.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

bool has_text_ending(const fs::path& path) {
  fs::path name = path.filename();
  if (std::ranges::find(kCompressions, small_ending(name)) != kCompressions.end())
    name = name.stem();
  return std::ranges::find(kTextEndings, small_ending(name)) != kTextEndings.end();
}

bool holds_text(const fs::path& folder) {
  std::error_code error;
  bool text = false;
  constexpr auto kFollow = fs::directory_options::follow_directory_symlink;
  for (fs::recursive_directory_iterator file(folder, kFollow, error), end; file != end && !error;
       file.increment(error)) {
    const fs::path& path = file->path();
    if (path.extension() == ".idx" || path.extension() == ".npy") return false;
    text = text || (has_text_ending(path) && file->is_regular_file(error));
  }
  return text;
}

std::vector<std::string> find_data_tool(const TrainJob& job) {
  if (!job.data_tool.empty()) return job.data_tool;
  return find_python_tool("galvatron-data", "galvatron.data");
}

struct ToolEnd {
  int code = 0;
  std::string output;
};

std::string read_to_the_end(int file) {
  std::string out;
  std::array<char, 4096> block{};
  while (true) {
    const ssize_t count = read(file, block.data(), block.size());
    if (count > 0) out.append(block.data(), static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) return out;
  }
}

// With our standard error, on which it shows its progress.
ToolEnd run_tool(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    throw RuntimeFailure("cannot open a pipe: ", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  ToolEnd out;
  if (error == 0) out.output = read_to_the_end(ends[0]);
  close(ends[0]);
  if (error != 0) throw RuntimeFailure("cannot start ", command[0], ": ", std::strerror(error));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw RuntimeFailure("lost ", command[0], ": ", std::strerror(errno));
  }
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : kInterrupted;
  while (!out.output.empty() && out.output.back() == '\n') out.output.pop_back();
  return out;
}

std::string tokenizer_of(const TrainJob& job, const std::string& text, const std::string& option) {
  const fs::path tokenizer = find_tokenizer(job);
  if (!tokenizer.empty()) return tokenizer.string();
  throw ConfigError("[data] ", option, " ", text,
                    " is text: name the tokenizer that turns it into tokens (--tokenizer DIR, a "
                    "tokenizer.json or a folder that holds one), or make a token pair of it with "
                    "galvatron-data");
}

std::string tokenize(const std::string& text, const TrainJob& job, const std::string& option) {
  const std::string tokenizer = tokenizer_of(job, text, option);
  std::vector<std::string> command = find_data_tool(job);
  if (command.empty()) {
    throw ConfigError("[data] ", option, " ", text,
                      " is text, which the Python package tokenizes, and there is no "
                      "galvatron-data in PATH: pip install 'galvatron[data]', or make a token pair "
                      "elsewhere (galvatron-data ",
                      shell_word(text), " --tokenizer ", shell_word(tokenizer),
                      " --output PREFIX) and give its PREFIX");
  }
  const std::string cache = job.data_cache.empty() ? default_data_cache() : job.data_cache;
  for (const std::string& word :
       {std::string("cache"), text, std::string("--tokenizer"), tokenizer, std::string("--cache"),
        cache, std::string("--field"), job.text_field})
    command.push_back(word);
  const ToolEnd end = run_tool(command);
  if (end.code == 0 && data::has_data_files(end.output, {".bin", ".idx"})) return end.output;
  // It says what it refuses in a sentence of its own.
  if (end.code == kRefused && !end.output.empty())
    throw ConfigError("[data] ", option, ": ", end.output);
  throw RuntimeFailure("galvatron-data left no tokens of ", text, " (exit code ", end.code, ")");
}

}  // namespace

std::string default_data_cache() {
  return cache_folder().value_or("./.cache/galvatron") / "tokens";
}

bool is_text(const std::string& name) {
  std::error_code ignored;
  if (fs::is_directory(name, ignored)) return holds_text(name);
  return has_text_ending(name) && fs::is_regular_file(name, ignored);
}

data::DataList tokenize_texts(const data::DataList& list, const TrainJob& job,
                              const std::string& option) {
  data::DataList out = list;
  for (std::string& name : out.names) {
    if (!data::has_data_files(name, {".bin", ".idx"}) && is_text(name))
      name = tokenize(name, job, option);
  }
  return out;
}

}  // namespace galvatron::train
