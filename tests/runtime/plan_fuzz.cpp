// Plan fuzzing: random models x random valid plans in fp64 against one rank.
//   plan_fuzz [--count N] [--seed FIRST] [--backend threads|gloo] [--families gemma,windows]
// A failing case is shrunk and printed with the seed that makes it again.
#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"

#include "runtime/random_plan.h"

namespace {

constexpr double kTolerance = 1e-9;

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t count = 300;
  bool gloo = false;
  std::vector<std::string> families;  // none: all
};

std::vector<std::string> parse_families(const std::string& list) {
  const std::vector<std::string> known = galvatron::testing::random_families();
  std::vector<std::string> out;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    if (std::find(known.begin(), known.end(), word) == known.end())
      throw galvatron::ConfigError("[fuzz] no family '", word, "'; there are ",
                                   fmt::format("{}", fmt::join(known, ", ")));
    out.push_back(word);
  }
  return out;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--seed") options.seed = std::stoull(value);
    if (name == "--count") options.count = std::stoull(value);
    if (name == "--families") options.families = parse_families(value);
    if (name == "--backend") options.gloo = value == "gloo";
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) try {
  setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  const Options options = parse(argc, argv);
  const auto backend =
      options.gloo ? galvatron::comm::BackendKind::kGloo : galvatron::comm::BackendKind::kThreads;
  galvatron::ProgressBar bar("plan fuzz", static_cast<std::int64_t>(options.count));
  galvatron::testing::Difference worst;
  std::uint64_t failures = 0;
  for (std::uint64_t i = 0; i < options.count; ++i) {
    const std::uint64_t seed = options.seed + i;
    const auto test = galvatron::testing::fuzz_case(seed, options.families);
    const auto found = galvatron::testing::run_case(test, backend);
    if (!(found.value <= kTolerance)) {
      ++failures;
      fmt::print("\nseed {} fails: {:.3g}, {}\n", seed, found.value, found.where);
      if (failures <= 3)
        fmt::print("shrunk:\n{}\n", describe(galvatron::testing::shrink(test, kTolerance)));
    } else if (found.value > worst.value) {
      worst = found;
    }
    bar.update(static_cast<std::int64_t>(i + 1), fmt::format("worst {:.1e}", worst.value));
  }
  bar.finish();
  fmt::print(
      "{} random plans from seed {} on {}: {} differ by more than {:.0e}; the worst of the others "
      "by {:.1e} ({})\n",
      options.count, options.seed, options.gloo ? "gloo" : "threads", failures, kTolerance,
      worst.value, worst.where);
  return failures == 0 ? 0 : 1;
} catch (const galvatron::ConfigError& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 2;
}
