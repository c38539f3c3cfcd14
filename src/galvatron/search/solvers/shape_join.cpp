// Stages put together: a dynamic program from the last stage to the first.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/shape_solver.h"

namespace galvatron::search {
class ShapeSolver::Join {
 public:
  Join(const ShapeSolver& solver, double cutoff, const std::function<bool()>* interrupted)
      : solver_(solver), cutoff_(cutoff), interrupted_(interrupted), arc_(solver.arcs_.size()) {
    Path end;
    end.begin = solver.num_layers();
    done_.push_back({end});
  }

  ShapeAnswer run() {
    for (int stage = solver_.num_stages() - 1; stage >= 0; --stage) {
      if (interrupted_ && (*interrupted_)()) {
        ShapeAnswer broken_off;
        broken_off.complete = false;
        return broken_off;
      }
      add_stage(stage);
    }
    return best();
  }

 private:
  // One partial pipeline: the stages from some layer to the end.
  struct Path {
    double sum = 0, waits = 0, slowest = 0, slowest2 = 0, once = 0;
    PathBounds bounds;
    int begin = 0;
    int layout_before = -1;  // in which the stage in front must end; -1: any
    const StageChoice* choice = nullptr;
    int next = -1;  // the later stages

    bool no_worse(const Path& other) const {
      return sum <= other.sum && waits <= other.waits && slowest <= other.slowest &&
             slowest2 <= other.slowest2 && once <= other.once;
    }
  };

  // A stage's choice behind a certain layout: times with the change into it.
  struct Ready {
    TimePair time;
    double once = 0;
    const StageChoice* choice = nullptr;
    bool no_worse(const Ready& other) const {
      return choice->last_layout == other.choice->last_layout && time.time <= other.time.time &&
             time.time2 <= other.time.time2 && once <= other.once;
    }
  };
  using Place = std::pair<int, int>;  // layer, and the layout in front of it

  double total(const Path& path) const {
    const double by_pace =
        path.sum + path.waits + solver_.repeats() * (path.slowest + path.slowest2);
    const cost::RoundTrips& trips = solver_.trips_;
    return std::max(by_pace, trips.stages * path.sum + trips.borders * path.waits) + path.once;
  }
  double bound(const Path& path, int stage) const {
    return solver_.step_bound(path.bounds.with(solver_.before_[solver_.at(stage, path.begin)]));
  }

  // The layouts in which stages of the one in front can end, by the layer where they end.
  std::map<int, std::set<int>> ends_in_front(int stage) const {
    std::map<int, std::set<int>> out;
    if (stage == 0) out[0] = {-1};
    for (std::size_t i = arc_; i-- > 0 && solver_.arcs_[i].stage + 1 == stage;) {
      std::set<int>& layouts = out[solver_.arcs_[i].end];
      for (const StageChoice& choice : solver_.arcs_[i].kind->facts->front.choices) {
        layouts.insert(choice.last_layout);
      }
    }
    return out;
  }

  void add_stage(int stage) {
    std::map<Place, std::vector<int>> later_at;
    for (int i = 0; i < static_cast<int>(done_.back().size()); ++i) {
      const Path& path = done_.back()[static_cast<std::size_t>(i)];
      later_at[{path.begin, path.layout_before}].push_back(i);
    }
    const std::size_t arcs_end = arc_;
    while (arc_ > 0 && solver_.arcs_[arc_ - 1].stage == stage) --arc_;
    const std::map<int, std::set<int>> in_front = ends_in_front(stage);
    found_.clear();
    for (std::size_t i = arcs_end; i-- > arc_;) {
      const Arc& arc = solver_.arcs_[i];
      const auto before = in_front.find(arc.begin);
      if (before == in_front.end()) continue;
      const bool last = stage == solver_.num_stages() - 1;
      for (const int layout : before->second) {
        for (const Ready& one : ready(arc, layout)) {
          const auto behind = later_at.find({arc.end, last ? -1 : one.choice->last_layout});
          if (behind != later_at.end()) extend(arc, one, layout, behind->second);
        }
      }
    }
    std::vector<Path> kept;
    for (const auto& [key, rivals] : found_) kept.insert(kept.end(), rivals.begin(), rivals.end());
    done_.push_back(std::move(kept));
  }

  // The choices of a stage that may be of use behind this layout (-1: nothing is in front).
  const std::vector<Ready>& ready(const Arc& arc, int layout_before) {
    const int type = layout_before < 0
                         ? -1
                         : solver_.tables().type_of_layer[static_cast<std::size_t>(arc.begin - 1)];
    const auto [known, added] = ready_.try_emplace({arc.kind, type, layout_before});
    if (added) known->second = make_ready(*arc.kind, type, layout_before);
    return known->second;
  }

  std::vector<Ready> make_ready(const Kind& kind, int type_before, int layout_before) const {
    std::vector<Ready> all, out;
    const LayoutChanges& changes = solver_.question_.layout_changes();
    for (const StageChoice& choice : kind.facts->front.choices) {
      if (!solver_.within_caps(kind, choice)) continue;
      Ready& one = all.emplace_back(Ready{{choice.time, choice.time2}, choice.once, &choice});
      if (type_before < 0) continue;
      const auto moved =
          static_cast<std::size_t>(layout_before * changes.num_layouts() + choice.first_layout);
      one.time.time += changes.behind(type_before).time[moved];
      one.time.time2 += changes.behind(type_before).time2[moved];
    }
    std::stable_sort(all.begin(), all.end(), [](const Ready& a, const Ready& b) {
      return std::tuple(a.time.both(), a.once) < std::tuple(b.time.both(), b.once);
    });
    for (const Ready& one : all) {
      const auto beats = [&](const Ready& other) { return other.no_worse(one); };
      if (std::none_of(out.begin(), out.end(), beats)) out.push_back(one);
    }
    return out;
  }

  // Is it on no path below the cutoff at this place?
  bool too_slow(const Arc& arc, const PathBounds& bounds) const {
    const PathBounds& before = solver_.before_[solver_.at(arc.stage, arc.begin)];
    const PathBounds& behind = solver_.from_[solver_.at(arc.stage + 1, arc.end)];
    return solver_.step_bound(before.with(bounds).with(behind)) >= cutoff_;
  }

  // Puts a stage in front of every later path that it can meet.
  void extend(const Arc& arc, const Ready& stage, int layout_before,
              const std::vector<int>& behind) {
    const TimePair& own = stage.time;
    const TimePair pace = solver_.question_.link_pace(arc.begin, arc.end);
    const PathBounds bounds =
        solver_.path_bounds(arc, own.both() + solver_.sum_share() * stage.once,
                            own.both() + solver_.bottleneck_share() * stage.once);
    if (too_slow(arc, bounds)) return;
    for (const int index : behind) {
      const Path& path = done_.back()[static_cast<std::size_t>(index)];
      Path one;
      one.sum = path.sum + own.both();
      one.waits = path.waits + solver_.question_.waits(arc.begin, arc.end);
      one.slowest = std::max({path.slowest, own.time, pace.time});
      one.slowest2 = std::max({path.slowest2, own.time2, pace.time2});
      one.once = std::max(path.once, stage.once);
      one.bounds = bounds.with(path.bounds);
      one.begin = arc.begin;
      one.layout_before = layout_before;
      one.choice = stage.choice;
      one.next = index;
      if (total(one) < cutoff_ && bound(one, arc.stage) < cutoff_) offer(one);
    }
  }

  void offer(const Path& path) {
    auto& rivals = found_[{path.begin, path.layout_before}];
    if (std::any_of(rivals.begin(), rivals.end(),
                    [&](const Path& other) { return other.no_worse(path); })) {
      return;
    }
    std::erase_if(rivals, [&](const Path& other) { return path.no_worse(other); });
    rivals.push_back(path);
  }

  ShapeAnswer best() const {
    ShapeAnswer answer;
    const std::vector<Path>& whole = done_.back();
    const auto least =
        std::min_element(whole.begin(), whole.end(),
                         [&](const Path& a, const Path& b) { return total(a) < total(b); });
    if (least == whole.end()) return answer;
    answer.step_ms = total(*least);
    const Path* at = &*least;
    for (std::size_t left = done_.size() - 1; left > 0; --left) {
      const std::vector<int>& ids = at->choice->ids;
      answer.layers_per_stage.push_back(static_cast<int>(ids.size()));
      answer.choice.insert(answer.choice.end(), ids.begin(), ids.end());
      at = &done_[left - 1][static_cast<std::size_t>(at->next)];
    }
    GALV_CHECK(static_cast<int>(answer.choice.size()) == solver_.num_layers(),
               "stages do not meet");
    return answer;
  }

  const ShapeSolver& solver_;
  double cutoff_;
  const std::function<bool()>* interrupted_;
  std::size_t arc_;                      // arcs from here on are done
  std::vector<std::vector<Path>> done_;  // [stages from the last]
  std::map<std::tuple<const Kind*, int, int>, std::vector<Ready>> ready_;
  std::map<Place, std::vector<Path>> found_;
};

ShapeAnswer ShapeSolver::join_stages(double cutoff,
                                     const std::function<bool()>* interrupted) const {
  return Join(*this, cutoff, interrupted).run();
}

}  // namespace galvatron::search
