#include "galvatron/train/gather.h"

#include <algorithm>
#include <cstring>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {

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

}  // namespace galvatron::train
