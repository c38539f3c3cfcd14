#include "galvatron/search/solvers/layer_solver.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/layer_bounds.h"

namespace galvatron::search {
namespace {

// Comparisons between two questions whether to break off.
constexpr std::int64_t kLookInterval = 100'000;
constexpr std::int64_t kNoBytes = std::numeric_limits<std::int64_t>::max();

// One partial choice: the layers from some layer to the stage's last.
struct Label {
  std::int64_t sum = 0;   // of `fixed`
  std::int64_t peak = 0;  // sum + V, with nothing in front
  std::int64_t turn = 0;  // of it: while the first layer runs backward, when more may be gathered
  double time = 0, time2 = 0, once = 0;
  double estimate = 0;                  // bound of the last cap's cost, for a beam
  double lost_time = 0, lost_once = 0;  // by which a label that this one replaced was better
  int option = 0;                       // of its first layer
  int last_layout = 0;
  int next = -1;  // label behind
};

class StageSolver {
 public:
  StageSolver(const StageProblem& problem, const std::vector<StageCap>& caps,
              const StageLimits& limits, bool only_bytes)
      : problem_(problem),
        limits_(limits),
        only_bytes_(only_bytes),
        bounds_(problem, caps, !only_bytes) {}

  StageFront run() {
    StageFront front;
    if (std::any_of(problem_.types.begin(), problem_.types.end(),
                    [&](int type) { return options_of(type).empty(); })) {
      return front;
    }
    tabulate();
    const std::size_t n = problem_.types.size();
    steps_.resize(n);
    for (std::size_t layer = n; layer-- > 0;) {
      extend(layer);
      front.labels += static_cast<std::int64_t>(steps_[layer].size());
      front.complete = complete_ && !is_spent();
      front.work = work_;
      if (is_spent() || steps_[layer].empty()) return front;
    }
    close(front);
    return front;
  }

 private:
  bool is_spent() {
    if (limits_.interrupted && work_ >= next_look_) {
      next_look_ = work_ + kLookInterval;
      if ((*limits_.interrupted)()) limits_.max_work = -1;
    }
    return work_ > limits_.max_work;
  }

  const std::vector<LayerOption>& options_of(int type) const {
    return bounds_.options()[static_cast<std::size_t>(type)];
  }
  int type_of(std::size_t layer) const { return problem_.types[layer]; }
  int num_layouts() const { return problem_.changes->num_layouts(); }
  // Between this layer and the next.
  const LayoutChange& change_behind(std::size_t layer) const {
    return problem_.changes->behind(type_of(layer));
  }

  void tabulate() {
    const std::size_t n = problem_.types.size();
    heaviest_.assign(n + 1, 0);
    lightest_.assign(n + 1, 0);
    for (std::size_t layer = 0; layer < n; ++layer) {
      std::int64_t most = 0, least = kNoBytes;
      for (const LayerOption& option : options_of(type_of(layer))) {
        most = std::max(most, option.weight() + (layer == 0 ? option.carried : 0));
        least = std::min(least, option.weight());
      }
      heaviest_[layer + 1] = heaviest_[layer] + most;
      lightest_[layer + 1] = lightest_[layer] + least;
    }
    for (const int type : problem_.types) {
      for (const LayerOption& option : options_of(type))
        most_gathered_ = std::max(most_gathered_, option.gathered);
    }
    largest_transient_ = most_gathered_;
    pairs_.resize(bounds_.options().size() * bounds_.options().size());
    leaner_.resize(pairs_.size());
    for (std::size_t layer = 0; layer + 1 < n; ++layer) {
      tabulate_pair(type_of(layer), type_of(layer + 1));
    }
  }

  std::size_t pair_index(int a, int b) const {
    return static_cast<std::size_t>(a) * bounds_.options().size() + static_cast<std::size_t>(b);
  }

  // [a][b]
  void tabulate_pair(int a, int b) {
    auto& table = pairs_[pair_index(a, b)];
    if (!table.empty()) return;
    for (const LayerOption& x : options_of(a)) {
      for (const LayerOption& y : options_of(b)) {
        const LayerTransient& one = table.emplace_back(problem_.transient(a, x.id, b, y.id));
        largest_transient_ =
            std::max({largest_transient_, one.forward, one.backward + most_gathered_});
      }
    }
    leaner_[pair_index(a, b)].assign(options_of(b).size() * options_of(b).size(), kNotAsked);
  }

  // Does y need no more than z behind any option of `pair`?
  bool is_leaner(std::size_t pair, std::size_t columns, std::size_t y, std::size_t z) const {
    const auto& table = pairs_[pair];
    for (std::size_t row = 0; row < table.size(); row += columns) {
      const LayerTransient &of_y = table[row + y], &of_z = table[row + z];
      if (of_y.forward > of_z.forward || of_y.backward > of_z.backward) return false;
    }
    return true;
  }

  void extend(std::size_t layer) {
    std::vector<Label> labels;
    const auto& options = options_of(type_of(layer));
    const std::size_t n = problem_.types.size();
    const auto offer = [&](Label& label) {
      if (!promising(layer, label)) return;
      blur(layer, label);
      labels.push_back(label);
    };
    for (std::size_t a = 0; a < options.size(); ++a) {
      const LayerOption& option = options[a];
      const std::int64_t carried = layer == 0 ? option.carried : 0;
      Label label;
      label.option = static_cast<int>(a);
      if (layer + 1 == n) {
        const LayerTransient own = problem_.transient(type_of(layer), option.id, -1, -1);
        label.sum = option.fixed;
        label.turn = option.weight() + carried + own.backward;
        label.peak = option.weight() + carried + own.alone();
        label.time = option.time;
        label.time2 = option.time2;
        label.once = option.once;
        label.last_layout = problem_.last_layout_counts ? option.layout : 0;
        offer(label);
        continue;
      }
      const int next_type = type_of(layer + 1);
      const auto& next_options = options_of(next_type);
      const auto& pairs = pairs_[pair_index(type_of(layer), next_type)];
      const auto& behind = steps_[layer + 1];
      const LayoutChange& change = change_behind(layer);
      work_ += static_cast<std::int64_t>(behind.size());
      for (std::size_t i = 0; i < behind.size(); ++i) {
        const Label& next = behind[i];
        const auto b = static_cast<std::size_t>(next.option);
        const LayerTransient& own = pairs[a * next_options.size() + b];
        const auto moved =
            static_cast<std::size_t>(option.layout * num_layouts() + next_options[b].layout);
        label.sum = next.sum + option.fixed;
        label.turn = option.weight() + carried + next.sum + own.backward;
        label.peak = option.weight() + carried +
                     std::max({next.sum + own.alone(), next.peak, next.turn + option.gathered});
        label.time = next.time + option.time + change.time[moved];
        label.time2 = next.time2 + option.time2 + change.time2[moved];
        label.once = next.once + option.once;
        label.lost_time = next.lost_time;
        label.lost_once = next.lost_once;
        label.last_layout = next.last_layout;
        label.next = static_cast<int>(i);
        offer(label);
      }
    }
    keep_useful(layer, labels);
  }

  // Only a label that comes first in this order can make another one useless.
  static bool earlier(const Label& a, const Label& b) {
    if (a.time != b.time) return a.time < b.time;
    if (a.peak != b.peak) return a.peak < b.peak;
    if (a.once != b.once) return a.once < b.once;
    if (a.time2 != b.time2) return a.time2 < b.time2;
    if (a.sum != b.sum) return a.sum < b.sum;
    if (a.turn != b.turn) return a.turn < b.turn;
    return a.option != b.option ? a.option < b.option : a.next < b.next;
  }

  void keep_useful(std::size_t layer, std::vector<Label>& labels) {
    in_front_ = layer > 0 ? &change_behind(layer - 1) : &problem_.changes->anywhere();
    std::sort(labels.begin(), labels.end(), earlier);
    std::vector<Label>& kept = steps_[layer];
    std::vector<std::size_t> order;  // of kept, those that made others useless lately in front
    for (const Label& label : labels) {
      if (is_spent()) return;
      bool useless = false;
      for (std::size_t k = 0; k < order.size() && !useless; ++k) {
        ++work_;
        useless = replaces(layer, kept[order[k]], label);
        if (useless && k > 0) std::swap(order[k], order[k / 2]);
      }
      if (useless) continue;
      order.push_back(kept.size());
      kept.push_back(label);
    }
    if (kept.size() <= limits_.beam) return;
    complete_ = false;
    std::nth_element(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(limits_.beam),
                     kept.end(),
                     [](const Label& a, const Label& b) { return a.estimate < b.estimate; });
    kept.resize(limits_.beam);
  }

  // Can the layers in front still be chosen so that every cap holds?
  bool promising(std::size_t layer, Label& label) const {
    if (label.peak > problem_.capacity - lightest_[layer]) return false;
    const LayerOption& option = options_of(type_of(layer))[static_cast<std::size_t>(label.option)];
    const auto left = static_cast<double>(problem_.capacity - label.peak);
    for (const ToGo& one : bounds_.to_go()) {
      const double so_far = label.time + label.time2 + one.once_share * label.once;
      double least = so_far;
      if (layer > 0) {
        const double priced = one.cost[layer * static_cast<std::size_t>(num_layouts()) +
                                       static_cast<std::size_t>(option.layout)];
        least += priced - one.price * left;
        if (!one.relaxed.empty()) least = std::max(least, so_far + one.relaxed[layer].at(left));
      }
      if (least > one.limit * (1 + kRounding)) return false;
      label.estimate = least;
    }
    return true;
  }

  // Numbers that no longer matter are raised, so that more labels are equal: `sum` once V is above
  // every transient to come, `turn` once it is above whatever is gathered in front; all of memory
  // once the heaviest layers in front fit anyway.
  void blur(std::size_t layer, Label& label) const {
    if (layer == 0 || only_bytes_) return;
    const std::int64_t enough = problem_.capacity - heaviest_[layer] - largest_transient_;
    if (label.peak <= enough) {
      label.peak = enough;
      label.sum = enough - largest_transient_ - 1;
      label.turn = enough - most_gathered_ - 1;
      return;
    }
    label.turn = std::max(label.turn, label.peak - most_gathered_ - 1);
    label.sum = std::min(label.peak, std::max(label.sum, label.peak - largest_transient_ - 1));
  }

  // Is every completion of b no better than the same completion of a? Up to the tolerance: what is
  // lost is remembered in a.
  bool replaces(std::size_t layer, Label& a, const Label& b) const {
    if (a.peak > b.peak || a.last_layout != b.last_layout) return false;
    double time = a.time, time2 = a.time2;
    if (layer > 0 || problem_.first_layout_counts) {
      const std::size_t moved = move_index(layer, a, b);
      time += in_front_->detour[moved];
      time2 += in_front_->detour2[moved];
    }
    if (layer > 0) {
      // Once `turn` is blurred nothing that is gathered in front counts.
      if (a.turn > a.peak - most_gathered_ && a.turn > b.turn) return false;
      // Once `sum` is blurred no transient in front of it counts.
      if (a.sum >= a.peak - largest_transient_ &&
          (a.sum > b.sum || !never_needs_more(layer, a.option, b.option))) {
        return false;
      }
    }
    const double lost_time =
        std::max(0.0, time - b.time) + std::max(0.0, time2 - b.time2) + b.lost_time;
    const double lost_once = std::max(0.0, a.once - b.once) + b.lost_once;
    if (lost_time > std::max(a.lost_time, limits_.time_tolerance) ||
        lost_once > std::max(a.lost_once, limits_.once_tolerance)) {
      return false;
    }
    a.lost_time = std::max(a.lost_time, lost_time);
    a.lost_once = std::max(a.lost_once, lost_once);
    return true;
  }

  std::size_t move_index(std::size_t layer, const Label& a, const Label& b) const {
    const auto& options = options_of(type_of(layer));
    return static_cast<std::size_t>(options[static_cast<std::size_t>(a.option)].layout *
                                        num_layouts() +
                                    options[static_cast<std::size_t>(b.option)].layout);
  }

  // Is option a in no pair with a layer in front of it larger than b?
  bool never_needs_more(std::size_t layer, int a, int b) const {
    if (a == b) return true;
    const std::size_t pair = pair_index(type_of(layer - 1), type_of(layer));
    const std::size_t columns = options_of(type_of(layer)).size();
    const auto y = static_cast<std::size_t>(a), z = static_cast<std::size_t>(b);
    Leaner& known = leaner_[pair][y * columns + z];
    if (known == kNotAsked) known = is_leaner(pair, columns, y, z) ? kYes : kNo;
    return known == kYes;
  }

  void close(StageFront& front) const {
    for (const Label& label : steps_[0]) {
      StageChoice choice{label.time, label.time2, label.once, label.peak, 0, label.last_layout, {}};
      const Label* at = &label;
      for (std::size_t layer = 0;; ++layer) {
        const LayerOption& option =
            options_of(type_of(layer))[static_cast<std::size_t>(at->option)];
        if (layer == 0) choice.first_layout = option.layout;
        choice.ids.push_back(option.id);
        if (at->next < 0) break;
        at = &steps_[layer + 1][static_cast<std::size_t>(at->next)];
      }
      front.choices.push_back(std::move(choice));
    }
  }

  const StageProblem& problem_;
  StageLimits limits_;
  bool only_bytes_;
  StageBounds bounds_;
  std::int64_t largest_transient_ = 0, most_gathered_ = 0;
  std::vector<std::int64_t> heaviest_, lightest_;  // sums over the first layers
  const LayoutChange* in_front_ = nullptr;         // of the layer whose labels are compared
  std::int64_t work_ = 0, next_look_ = 0;
  std::vector<std::vector<LayerTransient>> pairs_;  // [type a * types + type b]
  // [type a * types + type b][option y * options of b + option z]: does y need no more than z
  // behind any a? When first asked for: most options never meet, and each pair takes a look at all
  // of a.
  enum Leaner : char { kNotAsked, kNo, kYes };
  mutable std::vector<std::vector<Leaner>> leaner_;
  std::vector<std::vector<Label>> steps_;  // [layer]
  bool complete_ = true;
};

}  // namespace

double bound_stage(const StageProblem& problem, double once_share) {
  return StageBounds(problem, {{once_share, kInfinity}}, false).bound();
}

StageFront solve_stage(const StageProblem& problem, const std::vector<StageCap>& caps,
                       const StageLimits& limits) {
  return StageSolver(problem, caps, limits, false).run();
}

std::int64_t least_stage_bytes(const StageProblem& problem) {
  const StageFront front = StageSolver(problem, {}, {}, true).run();
  std::int64_t least = problem.capacity + 1;
  for (const StageChoice& choice : front.choices) least = std::min(least, choice.bytes);
  return least;
}

}  // namespace galvatron::search
