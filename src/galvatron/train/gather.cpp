#include "galvatron/train/gather.h"

#include <algorithm>
#include <cstring>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {
namespace {

constexpr char kConfigMark = 'c', kFailureMark = 'f';

// Empty: all is well. Else a mark and a sentence.
std::string outcome_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const ConfigError& error) {
    return kConfigMark + std::string(error.what());
  } catch (const RuntimeFailure& error) {
    return kFailureMark + std::string(error.what());
  }
  return "";
}

}  // namespace

std::vector<std::string> gather_texts(comm::World& world, const std::string& text) {
  const auto ranks = static_cast<std::int64_t>(world.size()),
             length = static_cast<std::int64_t>(text.size());
  const comm::Group all = world.all();
  at::Tensor lengths = at::empty({ranks}, at::TensorOptions(at::kLong).device(world.device()));
  all.all_gather(lengths, at::full({1}, length, lengths.options()));
  lengths = lengths.cpu();
  const std::int64_t longest = std::max<std::int64_t>(1, lengths.max().item<std::int64_t>());

  at::Tensor mine = at::zeros({longest}, at::kByte);
  std::memcpy(mine.data_ptr(), text.data(), text.size());
  at::Tensor texts =
      at::empty({ranks * longest}, at::TensorOptions(at::kByte).device(world.device()));
  all.all_gather(texts, mine.to(world.device()));
  texts = texts.cpu();
  std::vector<std::string> out;
  for (std::int64_t r = 0; r < ranks; ++r) {
    const char* begin = static_cast<const char*>(texts.data_ptr()) + r * longest;
    out.emplace_back(begin, static_cast<std::size_t>(lengths[r].item<std::int64_t>()));
  }
  return out;
}

std::string broadcast_text(comm::World& world, const std::string& text) {
  return gather_texts(world, world.rank() == 0 ? text : "").front();
}

std::optional<Problem> problem_of_any_rank(comm::World& world, const std::function<void()>& body) {
  const std::vector<std::string> outcomes = gather_texts(world, outcome_of(body));
  const auto first = std::find_if(outcomes.begin(), outcomes.end(),
                                  [](const std::string& outcome) { return !outcome.empty(); });
  if (first == outcomes.end()) return std::nullopt;
  const auto rank = static_cast<std::size_t>(first - outcomes.begin());
  const std::string host = gather_texts(world, comm::host_name())[rank];
  const bool all_say_so = std::count(outcomes.begin(), outcomes.end(), *first) ==
                          static_cast<std::ptrdiff_t>(outcomes.size());
  const std::string sentence = first->substr(1);
  return Problem{
      all_say_so ? sentence : detail::concat("rank ", rank, " on ", host, ": ", sentence),
      first->front() == kConfigMark};
}

void all_or_none(comm::World& world, const std::function<void()>& body) {
  const std::optional<Problem> problem = problem_of_any_rank(world, body);
  if (!problem) return;
  if (problem->is_config_error) throw ConfigError(problem->text);
  throw RuntimeFailure(problem->text);
}

}  // namespace galvatron::train
