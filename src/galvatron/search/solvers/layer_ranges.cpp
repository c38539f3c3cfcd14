#include "galvatron/search/solvers/layer_ranges.h"

#include <algorithm>
#include <map>

namespace galvatron::search {

LayerRanges::LayerRanges(const std::vector<int>& types)
    : num_layers_(static_cast<int>(types.size())),
      kind_(types.size() * (types.size() + 1) + types.size() + 1, -1) {
  const int num_types = types.empty() ? 0 : 1 + *std::max_element(types.begin(), types.end());
  run_end_.assign(types.size(), num_layers_);
  for (int i = num_layers_ - 2; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    run_end_[at] = types[at] == types[at + 1] ? run_end_[at + 1] : i + 1;
  }
  std::map<std::vector<int>, int> known;  // by (type, length) of the runs
  for (int begin = 0; begin < num_layers_; ++begin) {
    std::vector<int> runs;
    for (int end = begin + 1; end <= num_layers_; ++end) {
      const int type = types[static_cast<std::size_t>(end - 1)];
      if (runs.empty() || runs[runs.size() - 2] != type) {
        runs.push_back(type);
        runs.push_back(0);
      }
      ++runs.back();
      const auto [it, added] = known.try_emplace(runs, static_cast<int>(types_.size()));
      kind_[static_cast<std::size_t>(begin * (num_layers_ + 1) + end)] = it->second;
      if (added) only_first_.push_back(true);
      if (added) only_last_.push_back(true);
      if (begin > 0) only_first_[static_cast<std::size_t>(it->second)] = false;
      if (end < num_layers_) only_last_[static_cast<std::size_t>(it->second)] = false;
      if (!added) continue;
      types_.emplace_back(types.begin() + begin, types.begin() + end);
      std::vector<int> counts(static_cast<std::size_t>(num_types));
      for (int i = begin; i < end; ++i)
        ++counts[static_cast<std::size_t>(types[static_cast<std::size_t>(i)])];
      counts_.push_back(std::move(counts));
    }
  }
}

}  // namespace galvatron::search
