#include "galvatron/search/simplify.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace galvatron::search {
namespace {

using Choice = std::vector<int>;

int& at(Choice& choice, std::int64_t layer) { return choice[static_cast<std::size_t>(layer)]; }
int at(const Choice& choice, std::int64_t layer) { return choice[static_cast<std::size_t>(layer)]; }

std::vector<Range> runs_of(const Choice& choice, Range layers) {
  std::vector<Range> out;
  for (std::int64_t begin = layers.begin; begin < layers.end;) {
    std::int64_t end = begin;
    while (end < layers.end && at(choice, end) == at(choice, begin)) ++end;
    out.push_back({begin, end});
    begin = end;
  }
  return out;
}

// Layers before `split` get one candidate, those from there on another one.
struct Move {
  Segment segment;
  Range layers;
  std::int64_t split = 0;
  int front = 0, back = 0;
  int saved = 0;  // runs
  double step_ms = 0;

  void apply(Choice& choice) const {
    for (std::int64_t i = layers.begin; i < layers.end; ++i) {
      at(choice, i) = i < split ? front : back;
    }
  }
};

class Simplifier {
 public:
  Simplifier(const ChoicePricer& pricer, Choice choice, double most_ms)
      : pricer_(pricer),
        segments_(pricer.segments()),
        choice_(std::move(choice)),
        most_ms_(most_ms),
        stages_(pricer.price(choice_)) {}

  Choice run() {
    while (save_runs()) {
    }
    while (pricer_.num_stages() > 1 && save_a_pattern()) {
    }
    return choice_;
  }

 private:
  // The step with other candidates in one stage; nullopt when that is too slow or does not fit.
  std::optional<double> step_with(const Choice& other, int stage) const {
    ChoicePricer::Stages stages = stages_;
    pricer_.reprice(other, stage, stages);
    const double step_ms = pricer_.step_ms(stages);
    if (step_ms > most_ms_ || !pricer_.fits(other, stage)) return std::nullopt;
    return step_ms;
  }

  void take(Choice choice, int stage) {
    choice_ = std::move(choice);
    pricer_.reprice(choice_, stage, stages_);
  }

  bool is_tied(const Segment& segment) const {
    return pricer_.tables().tied_types.contains(
        at(pricer_.tables().type_of_layer, segment.layers.begin));
  }

  // One sweep: the best move of each segment, the cheapest first, as far as they still pay
  // together. False when there is none.
  bool save_runs() {
    std::map<int, std::set<int>> used;  // candidates by type
    for (std::size_t i = 0; i < choice_.size(); ++i) {
      used[pricer_.tables().type_of_layer[i]].insert(choice_[i]);
    }
    std::vector<Move> moves;
    for (const Segment& segment : segments_) {
      const int type = at(pricer_.tables().type_of_layer, segment.layers.begin);
      if (is_tied(segment)) continue;
      if (const auto move = best_move(segment, used[type])) moves.push_back(*move);
    }
    const double step_ms = pricer_.step_ms(stages_);
    std::stable_sort(moves.begin(), moves.end(), [&](const Move& a, const Move& b) {
      return cost_of(a, step_ms) < cost_of(b, step_ms);
    });
    bool any = false;
    for (const Move& move : moves) {
      Choice other = choice_;
      move.apply(other);
      if (!step_with(other, move.segment.stage)) continue;
      take(std::move(other), move.segment.stage);
      any = true;
    }
    return any;
  }

  // Per run that is saved; of equal ones that which saves most.
  static std::pair<double, int> cost_of(const Move& move, double step_ms) {
    return {(move.step_ms - step_ms) / move.saved, -move.saved};
  }

  std::optional<Move> best_move(const Segment& segment, const std::set<int>& candidates) const {
    const std::vector<Range> runs = runs_of(choice_, segment.layers);
    const double step_ms = pricer_.step_ms(stages_);
    std::optional<Move> best;
    const auto offer = [&](Move move) {
      Choice other = choice_;
      move.apply(other);
      const auto now = static_cast<int>(runs_of(other, segment.layers).size());
      move.saved = static_cast<int>(runs.size()) - now;
      if (move.saved <= 0) return;
      const auto step = step_with(other, segment.stage);
      if (!step) return;
      move.step_ms = *step;
      if (!best || cost_of(move, step_ms) < cost_of(*best, step_ms)) best = move;
    };
    for (std::size_t i = 0; i < runs.size(); ++i) {
      for (std::size_t j = i + 1; j < runs.size(); ++j) {
        const Range both{runs[i].begin, runs[j].end};
        for (const int one : candidates) offer({segment, both, both.end, one, one});
        // Two of them instead of three or more, wherever they meet.
        const int front = at(choice_, both.begin), back = at(choice_, both.end - 1);
        for (std::int64_t split = both.begin + 1; j > i + 1 && split < both.end; ++split) {
          offer({segment, both, split, front, back});
        }
      }
    }
    return best;
  }

  struct Pattern {
    std::vector<int> types;
    Choice choice;
    auto operator<=>(const Pattern&) const = default;
  };
  Pattern pattern_of(int stage) const {
    const auto begin = static_cast<std::ptrdiff_t>(pricer_.layers(stage).begin);
    const auto end = static_cast<std::ptrdiff_t>(pricer_.layers(stage).end);
    const std::vector<int>& types = pricer_.tables().type_of_layer;
    return {{types.begin() + begin, types.begin() + end},
            {choice_.begin() + begin, choice_.begin() + end}};
  }

  // Gives all stages of some pattern that of others, the rarest pattern first. False when none can.
  bool save_a_pattern() {
    std::map<Pattern, std::vector<int>> stages_of;
    for (int stage = 0; stage < pricer_.num_stages(); ++stage) {
      stages_of[pattern_of(stage)].push_back(stage);
    }
    std::vector<std::pair<std::size_t, Pattern>> rarest;
    for (const auto& [pattern, stages] : stages_of) rarest.emplace_back(stages.size(), pattern);
    std::sort(rarest.begin(), rarest.end());
    for (const auto& [rare, from] : rarest) {
      for (auto to = rarest.rbegin(); to != rarest.rend(); ++to) {
        const Pattern& other = to->second;
        if (other.types != from.types || other.choice == from.choice) continue;
        if (adopt(stages_of.at(from), other.choice)) return true;
      }
    }
    return false;
  }

  // All of the stages or none; with no more runs than before.
  bool adopt(const std::vector<int>& stages, const Choice& pattern) {
    if (std::any_of(stages.begin(), stages.end(),
                    [&](int stage) { return changes_ties(stage, pattern); })) {
      return false;
    }
    const Choice choice_before = choice_;
    const ChoicePricer::Stages stages_before = stages_;
    const int runs_before = count_runs(pricer_, choice_);
    bool fits = true;
    for (const int stage : stages) {
      Choice other = choice_;
      std::copy(pattern.begin(), pattern.end(),
                other.begin() + static_cast<std::ptrdiff_t>(pricer_.layers(stage).begin));
      fits = fits && pricer_.fits(other, stage);
      take(std::move(other), stage);
    }
    if (fits && pricer_.step_ms(stages_) <= most_ms_ &&
        count_runs(pricer_, choice_) <= runs_before) {
      return true;
    }
    choice_ = choice_before;
    stages_ = stages_before;
    return false;
  }

  bool changes_ties(int stage, const Choice& pattern) const {
    const Range layers = pricer_.layers(stage);
    for (std::int64_t i = layers.begin; i < layers.end; ++i) {
      const int type = at(pricer_.tables().type_of_layer, i);
      const bool changes = at(pattern, i - layers.begin) != at(choice_, i);
      if (changes && pricer_.tables().tied_types.contains(type)) return true;
    }
    return false;
  }

  const ChoicePricer& pricer_;
  std::vector<Segment> segments_;
  Choice choice_;
  double most_ms_;
  ChoicePricer::Stages stages_;
};

}  // namespace

int count_runs(const ChoicePricer& pricer, const std::vector<int>& choice) {
  int count = 0;
  for (const Segment& segment : pricer.segments()) {
    count += static_cast<int>(runs_of(choice, segment.layers).size());
  }
  return count;
}

std::vector<int> simplify_choice(const ChoicePricer& pricer, std::vector<int> choice,
                                 double most_ms) {
  return Simplifier(pricer, std::move(choice), most_ms).run();
}

}  // namespace galvatron::search
