// From a token pair to its samples, one line of JSON: seconds until the first sample is there
// (files opened and checked, of packed samples packed too), and until it is known where all samples
// of so many epochs are. bench/beside_megatron.py takes turns with it.
//   bench_indexing PREFIX SEQ_LENGTH EPOCHS
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "galvatron/base/progress.h"
#include "galvatron/data/packed_samples.h"
#include "galvatron/data/token_samples.h"

namespace {

using galvatron::now_seconds;
constexpr std::int64_t kVocabulary = 1 << 20;

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print("bench/beside_megatron.py runs this\n");
    return 0;
  }
  galvatron::data::TokenSamplesOptions options;
  options.prefix = argv[1];
  options.seq_length = std::strtoll(argv[2], nullptr, 10);
  options.split = "1";
  const std::int64_t epochs = std::strtoll(argv[3], nullptr, 10);
  std::vector<std::int64_t> row(static_cast<std::size_t>(options.seq_length) + 1);

  const double start = now_seconds();
  const galvatron::data::TokenSamples samples(options, kVocabulary);
  samples.read_tokens(0, 0, row);
  const double opened = now_seconds();
  std::int64_t together = 0;
  for (std::int64_t sample = 0; sample < epochs * samples.size(); ++sample)
    together += samples.index_in_file(sample);
  const double placed = now_seconds();
  const galvatron::data::PackedSamples packed(options, kVocabulary);
  packed.read_tokens(0, 0, row);
  const double filled = now_seconds();
  if (together < 0) return 1;  // so that nothing is left out
  fmt::print(
      "{{\"samples\": {}, \"first\": {}, \"all\": {}, \"packed\": {}, \"packed_samples\": {}, "
      "\"fill\": {}}}\n",
      epochs * samples.size(), opened - start, placed - start, filled - placed, packed.size(),
      packed.fill());
}
