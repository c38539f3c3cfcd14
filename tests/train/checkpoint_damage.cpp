// Damages checkpoints in thousands of ways and reads them, the reading code built with the address
// and undefined-behaviour sanitizers. Every damage must be told in a sentence that names the file.
//   checkpoint_damage [--count N] [--seed FIRST]
// Forged files, whose checksums are right, may only be refused, or mean what they meant.
#include <cstdlib>
#include <fstream>
#include <functional>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/checkpoint_files.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/checkpoint_index.h"

#include "lies.h"

// Torch is not instrumented, and keeps what it has allocated until the process ends.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

using runtime::Box;

constexpr std::int64_t kStep = 12, kRows = 12, kColumns = 10;
constexpr int kRanks = 3;
const std::vector<std::string> kParts = {"weights", "exp_avg", "exp_avg_sq"};
const std::vector<std::string> kParameters = {"embedding.tokens", "block.0.mlp.up.weight",
                                              "block.0.norm.weight"};

std::string read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

std::vector<std::int64_t> shape_of(const std::string& parameter) {
  if (parameter.ends_with("norm.weight")) return {kColumns};
  return {kRows, kColumns};
}

Box whole(const std::vector<std::int64_t>& shape) {
  Box out;
  for (const std::int64_t size : shape) out.ranges.push_back({0, size});
  return out;
}

at::Tensor values(const std::vector<std::int64_t>& shape, double first) {
  return (at::arange(whole(shape).numel(), at::kFloat) + first).view(shape);
}

template <typename Visit>
void for_each_entry(const Visit& visit) {
  double first = 0;
  for (const std::string& part : kParts) {
    for (const std::string& parameter : kParameters)
      visit(part + "/" + parameter, shape_of(parameter), first += 1000);
  }
}

// What a rank holds of a tensor: every third row or element, two boxes where there are two.
std::vector<StatePiece> pieces_of_rank(int rank) {
  std::vector<StatePiece> out;
  for_each_entry([&](const std::string& entry, const auto& shape, double first) {
    const at::Tensor all = values(shape, first);
    for (const Range rows : {chunk(shape[0] / 2, kRanks, rank), Range{shape[0] / 2, shape[0]}}) {
      if (rows.begin == shape[0] / 2 && rank != 1) continue;  // the second half is rank 1's
      if (rows.empty()) continue;
      Box box = whole(shape);
      box.ranges[0] = rows;
      out.push_back({entry, box, all.narrow(0, rows.begin, rows.size()).contiguous()});
    }
  });
  return out;
}

CheckpointIndex example_index() {
  CheckpointIndex out;
  out.model = "example", out.optimizer = "adamw", out.run = "0123456789abcdef";
  out.seq_length = 16, out.steps_done = kStep, out.samples_consumed = 8 * kStep;
  out.optimizer_steps = kStep, out.precision = spec::Precision::kFp32, out.global_batch = 8;
  out.model_config = {{"model_type", "gpt2"}, {"n_embd", kColumns}};
  out.options = {{"seed", 1234}, {"shuffle", true}};
  out.data = {{".bin", {{"bytes", 100}, {"checksum", "xxh3:0123456789abcdef"}}}};
  out.plan = {{"world_size", kRanks}};
  return out;
}

// A folder with one checkpoint, whole.
void make_checkpoint(const fs::path& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  make_partial_checkpoint(folder, kStep);
  const fs::path partial = partial_checkpoint(folder, kStep);
  CheckpointIndex index = example_index();
  for (int rank = 0; rank < kRanks; ++rank) {
    const std::string name = fmt::format("state-{:05}-of-{:05}.safetensors", rank, kRanks);
    index.files.push_back(write_state_file(partial / name, pieces_of_rank(rank)));
  }
  write_durably(partial / kIndexFile, index_text(index));
  publish_checkpoint(folder, kStep);
}

// The same as version 2 wrote it: one file of whole tensors, no checksums.
void make_old_checkpoint(const fs::path& folder) {
  const fs::path checkpoint = folder / step_folder(kStep);
  fs::remove_all(folder);
  fs::create_directories(checkpoint);
  std::vector<models::HeaderEntry> entries;
  std::string data;
  for_each_entry([&](const std::string& entry, const auto& shape, double first) {
    const at::Tensor value = values(shape, first);
    const auto begin = static_cast<std::int64_t>(data.size());
    data.append(static_cast<const char*>(value.const_data_ptr()), value.nbytes());
    entries.push_back(
        {{entry, at::kFloat, shape}, {begin, static_cast<std::int64_t>(data.size())}});
  });
  write_bytes(checkpoint / "state.safetensors", models::make_header(entries, {}) + data);
  const OrderedJson json{{"format", "galvatron-checkpoint"},
                         {"version", 2},
                         {"model", "example"},
                         {"optimizer", "adamw"},
                         {"seq_length", 16},
                         {"steps_done", kStep},
                         {"samples_consumed", 96},
                         {"optimizer_steps", kStep},
                         {"loss_scale", 1.0},
                         {"good_steps", 0}};
  write_json_file(checkpoint / kIndexFile, json);
}

// Reads as a run does that goes on: the pointer, the index, the headers, every element, once as a
// whole and once in the parts of two ranks. Different state gives another text.
std::string read_all(const fs::path& folder) {
  const CheckpointCandidates found = checkpoint_candidates(folder);
  if (!found.note.empty()) throw ConfigError(found.note);
  const fs::path& checkpoint = found.paths.front();
  const CheckpointIndex index = read_index(checkpoint);
  StateFiles files(checkpoint, index);
  std::string state;
  for_each_entry([&](const std::string& entry, const auto& shape, double) {
    const std::string problem = files.problem_with(entry, at::kFloat, shape);
    if (!problem.empty()) throw DamagedCheckpoint(checkpoint, problem);
    const at::Tensor value = at::full(shape, -1.0F, at::kFloat);
    for (const Range rows : {Range{0, shape[0]}, Range{0, 3}, Range{3, shape[0]}}) {
      Box box = whole(shape);
      box.ranges[0] = rows;
      files.read(entry, box, value.narrow(0, rows.begin, rows.size()));
      state += std::string(static_cast<const char*>(value.const_data_ptr()), value.nbytes());
    }
  });
  return state;
}

// What is said of a folder; empty: it is read, and `state` set.
std::string problem_of(const fs::path& folder, std::string& state) {
  try {
    state = read_all(folder);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

struct Damage {
  const char* name;
  // Does it to a file that holds `bytes`.
  std::function<void(const fs::path& file, std::string bytes, Random& random)> inflict;
};

void replace_by_pipe(const fs::path& file) {
  fs::remove(file);
  if (mkfifo(file.c_str(), 0600) != 0) throw RuntimeFailure("no pipe at ", file.string());
}

// Headers and ends as often as what lies between.
std::size_t place_in(const std::string& bytes, Random& random) {
  const std::size_t reach =
      random() % 2 == 0 ? bytes.size() : std::min<std::size_t>(200, bytes.size());
  return random() % 4 == 0 ? bytes.size() - 1 - pick(random, reach) : pick(random, reach);
}

void flip_byte(std::string& bytes, Random& random) {
  char& byte = bytes[place_in(bytes, random)];
  byte = static_cast<char>(byte ^ static_cast<char>(1 + pick(random, 255)));
}

const std::vector<Damage>& damages() {
  static const std::vector<Damage> all = {
      {"flipped byte",
       [](const fs::path& file, std::string bytes, Random& random) {
         flip_byte(bytes, random);
         write_bytes(file, bytes);
       }},
      {"flipped bit",
       [](const fs::path& file, std::string bytes, Random& random) {
         char& byte = bytes[place_in(bytes, random)];
         byte = static_cast<char>(byte ^ static_cast<char>(1 << pick(random, 8)));
         write_bytes(file, bytes);
       }},
      {"truncation",
       [](const fs::path& file, const std::string& bytes, Random& random) {
         write_bytes(file, bytes.substr(0, place_in(bytes, random)));
       }},
      {"longer file",
       [](const fs::path& file, std::string bytes, Random& random) {
         bytes.append(1 + pick(random, 100), static_cast<char>(pick(random, 256)));
         write_bytes(file, bytes);
       }},
      {"zeros instead of a piece",
       [](const fs::path& file, std::string bytes, Random& random) {
         const std::size_t begin = place_in(bytes, random);
         const std::size_t count = std::min(bytes.size() - begin, 1 + pick(random, 500));
         const std::string before = bytes;
         std::fill_n(bytes.begin() + static_cast<long>(begin), count, '\0');
         if (bytes == before) flip_byte(bytes, random);
         write_bytes(file, bytes);
       }},
      {"bytes moved",
       [](const fs::path& file, std::string bytes, Random& random) {
         const std::string before = bytes;
         const std::size_t at = place_in(bytes, random);
         std::rotate(bytes.begin(), bytes.begin() + static_cast<long>(at), bytes.end());
         if (bytes == before) flip_byte(bytes, random);
         write_bytes(file, bytes);
       }},
      {"removal", [](const fs::path& file, const std::string&, Random&) { fs::remove(file); }},
      {"folder in its place",
       [](const fs::path& file, const std::string&, Random&) {
         fs::remove(file);
         fs::create_directory(file);
       }},
      {"pipe in its place",
       [](const fs::path& file, const std::string&, Random&) { replace_by_pipe(file); }},
      {"link to the same bytes elsewhere", [](const fs::path& file, const std::string&, Random&) {
         const fs::path elsewhere = file.parent_path().parent_path().parent_path() / "elsewhere";
         fs::remove(elsewhere);
         fs::rename(file, elsewhere);
         fs::create_symlink(elsewhere, file);
       }}};
  return all;
}

// Counts, and the first few failures in words.
struct Outcome {
  std::map<std::string, std::int64_t> counts;
  std::int64_t failures = 0;

  void count(const std::string& kind) { ++counts[kind]; }
  void fail(const std::string& text) {
    if (++failures <= 10) fmt::print("{}\n", text);
  }
};

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void restore(const fs::path& file, const std::string& bytes) {
  fs::remove_all(file);
  write_bytes(file, bytes);
}

// `has_checksums`: then no damage may pass; else it may, where no byte of a header is touched.
void damage_files(const fs::path& folder, bool has_checksums, std::int64_t count, Random& random,
                  Outcome& outcome) {
  std::string whole_state;
  if (const std::string problem = problem_of(folder, whole_state); !problem.empty())
    return outcome.fail("the checkpoint that was just made: " + problem);
  const std::vector<fs::path> files = files_below(folder);
  for (std::int64_t i = 0; i < count; ++i) {
    const fs::path& file = files[pick(random, files.size())];
    const Damage& damage = damages()[pick(random, damages().size())];
    const bool is_state = file.extension() == ".safetensors";
    if (std::string(damage.name).starts_with("link") && !is_state) continue;
    const std::string bytes = read_bytes(file);
    damage.inflict(file, bytes, random);
    std::string state;
    const std::string said = problem_of(folder, state);
    const std::string what = fmt::format("{} of {}", damage.name, file.filename().string());
    // Without checksums a name that was changed is a tensor that is missing.
    const bool named = said.find(file.filename().string()) != std::string::npos ||
                       (!has_checksums && said.ends_with("but is missing"));
    if (!said.empty() && !named) outcome.fail(what + " is not named: " + said);
    if (said.empty() && has_checksums) outcome.fail(what + " was not seen");
    outcome.count(fmt::format("{}{}", damage.name, has_checksums ? "" : ", no checksums"));
    restore(file, bytes);
  }
}

// --- files whose checksums are right -------------------------------------------------------------

// An index with right checksums that says what `json` says.
std::string sealed(Json json) {
  if (!json.is_object()) return json.dump();
  json.erase("checksum");
  std::string text = json.dump(2);
  text.resize(text.size() - std::string_view("\n}").size());
  return text + fmt::format(",\n  \"checksum\": \"{}\"\n}}\n", checksum_text(checksum(text)));
}

// Puts the right sizes and checksums of its files into an index.
void seal_files(const fs::path& checkpoint) {
  CheckpointIndex index = read_index(checkpoint);
  for (FileRecord& record : index.files) {
    const std::string bytes = read_bytes(checkpoint / record.name);
    BlockChecksums blocks;
    blocks.add(std::as_bytes(std::span(bytes)));
    record = {record.name, static_cast<std::int64_t>(bytes.size()), blocks.finish()};
  }
  write_bytes(checkpoint / kIndexFile, index_text(index));
}

std::string with_header(const std::string& bytes, const std::string& header) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  const std::uint64_t now = header.size();
  return std::string(reinterpret_cast<const char*>(&now), sizeof(now)) + header +
         bytes.substr(sizeof(length) + length);
}

Json header_of(const std::string& bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  return Json::parse(bytes.substr(sizeof(length), length));
}

void forge_files(const fs::path& folder, std::int64_t count, Random& random, Outcome& outcome) {
  std::string whole_state;
  problem_of(folder, whole_state);
  const fs::path checkpoint = folder / step_folder(kStep);
  const std::string index = read_bytes(checkpoint / kIndexFile);
  const fs::path first = checkpoint / read_index(checkpoint).files.front().name;
  const std::string bytes = read_bytes(first);
  for (std::int64_t i = 0; i < count; ++i) {
    const bool lies_in_index = i % 2 == 0;
    if (lies_in_index) {
      write_bytes(checkpoint / kIndexFile, sealed(with_a_lie(Json::parse(index), random)));
    } else {
      write_bytes(first, with_header(bytes, with_a_lie(header_of(bytes), random).dump()));
      seal_files(checkpoint);
    }
    std::string state;
    const std::string said = problem_of(folder, state);
    if (said.empty() && state != whole_state)
      outcome.fail(fmt::format("a lie in the {} gave another state: {}",
                               lies_in_index ? "index" : "header",
                               lies_in_index ? read_bytes(checkpoint / kIndexFile)
                                             : header_of(read_bytes(first)).dump()));
    outcome.count(lies_in_index ? "forged index" : "forged header");
    write_bytes(first, bytes);
    write_bytes(checkpoint / kIndexFile, index);
  }
}

// Brackets that a careless reader follows until its stack ends.
void nest_deeply(const fs::path& folder, Outcome& outcome) {
  const fs::path checkpoint = folder / step_folder(kStep);
  const std::string index = read_bytes(checkpoint / kIndexFile);
  constexpr std::size_t kDepth = 200'000;
  for (const char* open : {"[", "{\"a\":"}) {
    std::string text = "{\"format\": ";
    for (std::size_t i = 0; i < kDepth; ++i) text += open;
    write_bytes(checkpoint / kIndexFile, text);
    std::string state;
    if (problem_of(folder, state).find(kIndexFile) == std::string::npos)
      outcome.fail("a deeply nested index was not refused");
    outcome.count("deeply nested index");
  }
  write_bytes(checkpoint / kIndexFile, index);
}

struct Options {
  std::int64_t count = 6000;
  std::uint64_t seed = 1;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--count") options.count = std::stoll(argv[i + 1]);
    if (name == "--seed") options.seed = std::stoull(argv[i + 1]);
  }
  return options;
}

int run(const Options& options) {
  at::set_num_threads(1);
  const fs::path place =
      fs::temp_directory_path() / fmt::format("galvatron_checkpoint_damage_{}", getpid());
  Random random(options.seed);
  Outcome outcome;
  make_checkpoint(place / "save");
  damage_files(place / "save", true, options.count / 2, random, outcome);
  forge_files(place / "save", options.count * 3 / 8, random, outcome);
  nest_deeply(place / "save", outcome);
  make_old_checkpoint(place / "old");
  damage_files(place / "old", false, options.count / 8, random, outcome);
  fs::remove_all(place);
  std::int64_t total = 0;
  for (const auto& [kind, count] : outcome.counts) {
    fmt::print("  {:<50}{:>7}\n", kind, count);
    total += count;
  }
  fmt::print("{} damages from seed {}, sanitized: {}\n", total, options.seed,
             outcome.failures == 0 ? "each was told, none was used"
                                   : fmt::format("{} FAILED", outcome.failures));
  return outcome.failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace galvatron::train

int main(int argc, char** argv) {
  return galvatron::train::run(galvatron::train::parse(argc, argv));
}
