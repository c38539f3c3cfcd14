#include "galvatron/train/gathered_batch.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/train/checksum.h"

namespace galvatron::train {
namespace {

using spec::InputKind;

constexpr std::int64_t kComparedSamples = 4;
// What no layer needs; Header::said has a bit for each.
constexpr std::array kOptional = {InputKind::kDocuments, InputKind::kTargetDocuments,
                                  InputKind::kPositions, InputKind::kTokenTypes};

bool is_optional(InputKind kind) { return std::ranges::find(kOptional, kind) != kOptional.end(); }

bool has_tokens(InputKind kind) {
  return kind != InputKind::kImages && kind != InputKind::kClasses;
}

std::int64_t said_in(const BatchPart& part) {
  std::int64_t out = 0;
  for (std::size_t i = 0; i < kOptional.size(); ++i) {
    if (part.contains(kOptional[i])) out |= std::int64_t{1} << i;
  }
  return out;
}

// Of samples that do not say it: each is one document, and one segment.
at::Tensor usual(InputKind kind, std::int64_t samples, std::int64_t tokens) {
  if (kind == InputKind::kPositions) return at::arange(tokens, at::kLong).expand({samples, tokens});
  return at::full({samples, tokens}, kind == InputKind::kTokenTypes ? 0 : 1, at::kLong);
}

std::int64_t samples_of(const BatchPart& part) {
  return part.empty() ? 0 : part.begin()->second.size(0);
}

// Equal for equal samples.
std::int64_t print_of(const BatchPart& part) {
  std::uint64_t out = 0;
  for (const auto& [kind, value] : part) {
    const std::int64_t compared = std::min(kComparedSamples, value.size(0));
    const at::Tensor first = value.narrow(0, 0, compared).cpu().contiguous();
    out = 31 * out + checksum(std::string_view(static_cast<const char*>(first.data_ptr()),
                                               static_cast<std::size_t>(first.nbytes())));
  }
  return static_cast<std::int64_t>(out >> 1U);
}

// What all must say where samples are padded.
std::int64_t said_of_masks(spec::Task task) {
  return task == spec::Task::kSequenceToSequence ? 0b011 : 0b001;
}

}  // namespace

plan::RankSet BatchParts::readers(int rank) const {
  const int stride = layout.strides().dp;
  return plan::ranks_of(rank - of(rank) * stride, {count(), stride});
}

// What a rank says of its part.
struct GatheredBatch::Header {
  std::int64_t samples = 0, tokens = 0, print = 0, said = 0;
  static constexpr std::int64_t kNumbers = 4;
};

GatheredBatch::GatheredBatch(const spec::ModelSpec& model, const plan::Plan& plan,
                             comm::World& world, const BatchPart& mine, bool answers)
    : model_(model), world_(world), parts_(plan) {
  const at::NoGradGuard no_grad;
  const std::vector<Header> headers = exchange_headers(mine);
  check(headers);
  std::int64_t said = 0;
  for (const Header& header : headers) {
    share_ = std::max(share_, header.samples);
    seq_length_ = std::max(seq_length_, header.tokens);
    said |= header.said;
  }
  if (pads(headers)) said |= said_of_masks(model.task);
  if (share_ == 0) return;
  // Every microbatch has a sample.
  share_ = std::max(share_, (plan.num_microbatches + parts_.count() - 1L) / parts_.count());
  std::set<int> counted;
  for (int rank = 0; rank < world.size(); ++rank) {
    const std::int64_t part = parts_.of(rank);
    const std::int64_t samples = headers[static_cast<std::size_t>(rank)].samples;
    places_.push_back({part * share_, part * share_ + samples});
    if (counted.insert(static_cast<int>(part)).second) num_samples_ += samples;
  }
  std::vector<InputKind> kinds = runtime::input_kinds(model);
  if (!answers) std::erase_if(kinds, runtime::is_answer);
  for (std::size_t i = 0; i < kOptional.size(); ++i) {
    if ((said >> i & 1) != 0) kinds.push_back(kOptional[i]);
  }
  gather(mine, kinds);
}

std::vector<GatheredBatch::Header> GatheredBatch::exchange_headers(const BatchPart& mine) const {
  const std::int64_t tokens =
      mine.contains(InputKind::kTokens) ? mine.at(InputKind::kTokens).size(1) : 0;
  const at::Tensor own =
      at::tensor({samples_of(mine), tokens, print_of(mine), said_in(mine)}, at::kLong);
  at::Tensor all = at::empty({world_.size() * Header::kNumbers},
                             at::TensorOptions(at::kLong).device(world_.device()));
  world_.all().all_gather(all, own.to(world_.device()));
  all = all.cpu();
  const auto* numbers = all.data_ptr<std::int64_t>();
  std::vector<Header> out;
  for (int rank = 0; rank < world_.size(); ++rank, numbers += Header::kNumbers)
    out.push_back({numbers[0], numbers[1], numbers[2], numbers[3]});
  return out;
}

void GatheredBatch::check(const std::vector<Header>& headers) const {
  std::map<int, int> first_of_part;
  for (int rank = 0; rank < world_.size(); ++rank) {
    const Header& header = headers[static_cast<std::size_t>(rank)];
    const int twin = first_of_part.emplace(parts_.of(rank), rank).first->second;
    const Header& same = headers[static_cast<std::size_t>(twin)];
    if (header.samples != same.samples || header.print != same.print) {
      throw ConfigError(
          "[data] ranks ", twin, " and ", rank, " must read the same samples, part ",
          parts_.of(rank), " of the ", parts_.count(),
          " parts of a batch, and have read different ones: leave the distributed sampler to the "
          "strategy, or divide the data by its data_parallel_rank and data_parallel_size");
    }
  }
}

// Are samples of some ranks shorter than those of others, and what is behind them to be seen?
bool GatheredBatch::pads(const std::vector<Header>& headers) const {
  return model_.task != spec::Task::kNextToken &&
         std::ranges::any_of(headers, [&](const Header& header) {
           return header.samples > 0 && header.tokens != seq_length_;
         });
}

bool GatheredBatch::is_of_targets(InputKind kind) const {
  return kind == InputKind::kTargetTokens || kind == InputKind::kTargetDocuments ||
         (kind == InputKind::kLabels && model_.task == spec::Task::kSequenceToSequence);
}

at::Tensor GatheredBatch::filled(InputKind kind, const BatchPart& mine) const {
  std::vector<std::int64_t> shape{share_};
  at::ScalarType dtype = at::kLong;
  if (kind == InputKind::kImages) {
    shape.insert(shape.end(), {model_.image.channels, model_.image.height, model_.image.width});
    dtype = at::kFloat;
  } else if (has_tokens(kind)) {
    spec::StreamSpec stream;
    if (is_of_targets(kind)) stream.length_kind = spec::StreamSpec::Length::kTarget;
    shape.push_back(stream.length(seq_length_));
  }
  const std::int64_t padding = runtime::is_answer(kind) ? nn::kIgnoreLabel : 0;
  at::Tensor out =
      at::full(shape, padding, at::TensorOptions().dtype(dtype).device(world_.device()));
  const std::int64_t samples = samples_of(mine);
  if (samples == 0) return out;
  at::Tensor read;
  if (is_optional(kind) && !mine.contains(kind)) {
    const auto tokens = is_of_targets(kind) ? InputKind::kTargetTokens : InputKind::kTokens;
    read = usual(kind, samples, mine.at(tokens).size(1));
  } else {
    read = mine.at(kind);
  }
  at::Tensor place = out.narrow(0, 0, samples);
  if (has_tokens(kind)) place = place.narrow(1, 0, read.size(1));
  place.copy_(read);
  return out;
}

void GatheredBatch::gather(const BatchPart& mine, const std::vector<InputKind>& kinds) {
  const comm::Group readers = world_.group(parts_.readers(world_.rank()));
  for (const InputKind kind : kinds) {
    const at::Tensor part = filled(kind, mine);
    std::vector<std::int64_t> shape = part.sizes().vec();
    shape[0] *= readers.size();
    at::Tensor whole = at::empty(shape, part.options());
    readers.all_gather(whole, part);
    if (runtime::is_answer(kind))
      num_labels_ = static_cast<double>(whole.ne(nn::kIgnoreLabel).sum().item<std::int64_t>());
    whole_[kind] = std::move(whole);
  }
}

at::Tensor GatheredBatch::fetch(InputKind kind, Range samples, Range tokens) {
  const at::Tensor rows = whole_.at(kind).narrow(0, samples.begin, samples.size());
  return has_tokens(kind) ? rows.narrow(1, tokens.begin, tokens.size()) : rows;
}

bool GatheredBatch::says(InputKind kind) const { return whole_.contains(kind); }

}  // namespace galvatron::train
