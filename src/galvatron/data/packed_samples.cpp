#include "galvatron/data/packed_samples.h"

#include <algorithm>
#include <limits>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kLeastTokens = 2;  // an input and a label

Range choose_documents(const IndexedDataset& dataset, const TokenSamplesOptions& options) {
  if (options.seq_length < kLeastTokens ||
      options.seq_length > std::numeric_limits<std::int32_t>::max()) {
    throw ConfigError(
        "[data] documents are packed into samples of 2 tokens or more, up to 2^31 - "
        "1, not of ",
        options.seq_length);
  }
  dataset.require_documents();
  const SplitWeights weights = parse_split(options.split);
  const std::int64_t count = dataset.document_count();
  const Range part = split_ranges(count, weights).at(static_cast<std::size_t>(options.part));
  if (part.empty()) {
    throw ConfigError("[data] --split ", options.split, " leaves the ", to_text(options.part),
                      " part of ", options.prefix, " empty: there are ", count,
                      " documents, and packed samples are divided between documents");
  }
  return part;
}

}  // namespace

PackedSamples::PackedSamples(const TokenSamplesOptions& options, std::int64_t vocab_size,
                             const SizeOf& taken_by)
    : dataset_(options.prefix), seq_length_(options.seq_length), vocab_size_(vocab_size) {
  const Range documents = choose_documents(dataset_, options);
  check_corpus_info(dataset_, vocab_size_);
  cut(documents);
  if (pieces_.empty()) {
    throw ConfigError("[data] the ", documents.size(), " documents of the ", to_text(options.part),
                      " part of ", options.prefix,
                      " have less than two tokens each: there is nothing to predict");
  }
  std::vector<std::int32_t> sizes;
  sizes.reserve(pieces_.size());
  for (const Piece& piece : pieces_) {
    sizes.push_back(taken_by ? static_cast<std::int32_t>(taken_by(piece.size)) : piece.size);
  }
  packing_ = pack_best_fit(sizes, static_cast<std::int32_t>(seq_length_));
  order_ = {{0, packing_.num_bins()}, options.shuffle, options.seed};
}

void PackedSamples::cut(Range documents) {
  for (std::int64_t i = documents.begin; i < documents.end; ++i) {
    const Range tokens = dataset_.document(i);
    for (std::int64_t first = tokens.begin; tokens.end - first >= kLeastTokens;
         first += seq_length_ - 1) {
      const std::int64_t size = std::min(tokens.end - first, seq_length_);
      pieces_.push_back({first, static_cast<std::int32_t>(size)});
    }
  }
}

std::span<const std::int64_t> PackedSamples::items_of(std::int64_t sample) const {
  const auto bin = static_cast<std::size_t>(order_.index_in_file(sample));
  const auto begin = static_cast<std::size_t>(packing_.begins[bin]);
  return std::span(packing_.items)
      .subspan(begin, static_cast<std::size_t>(packing_.begins[bin + 1]) - begin);
}

std::vector<DocumentPart> PackedSamples::documents(std::int64_t sample) const {
  std::vector<DocumentPart> out;
  std::int64_t end = 0;
  for (const std::int64_t item : items_of(sample)) {
    const std::int64_t begin = end;
    end += pieces_[static_cast<std::size_t>(item)].size;
    out.push_back({{begin, end}});
  }
  return out;
}

void PackedSamples::read_tokens(std::int64_t sample, std::int64_t first,
                                std::span<std::int64_t> out) const {
  const Range wanted{first, first + static_cast<std::int64_t>(out.size())};
  std::ranges::fill(out, 0);
  std::int64_t end = 0;
  for (const std::int64_t item : items_of(sample)) {
    const Piece& piece = pieces_[static_cast<std::size_t>(item)];
    const std::int64_t begin = end;
    end += piece.size;
    const Range part = intersect({begin, end}, wanted);
    if (part.empty()) continue;
    read_checked(dataset_, piece.first + part.begin - begin, vocab_size_,
                 out.subspan(static_cast<std::size_t>(part.begin - first),
                             static_cast<std::size_t>(part.size())));
  }
}

double PackedSamples::fill() const {
  double tokens = 0;
  for (const Piece& piece : pieces_) tokens += piece.size;
  return tokens / static_cast<double>(size() * seq_length_);
}

}  // namespace galvatron::data
