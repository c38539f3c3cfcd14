// Stages put together: a dynamic program from the last stage to the first.
#include <algorithm>
#include <map>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/shape_solver.h"

namespace galvatron::search {
class ShapeSolver::Join {
 public:
  Join(const ShapeSolver& solver, double cutoff)
      : solver_(solver), cutoff_(cutoff), arc_(solver.arcs_.size()) {
    Path end;
    end.begin = solver.num_layers();
    done_.push_back({end});
  }

  ShapeAnswer run() {
    for (int stage = solver_.num_stages() - 1; stage >= 0; --stage) add_stage(stage);
    return best();
  }

 private:
  // One partial pipeline: the stages from some layer to the end.
  struct Path {
    double sum = 0, slowest = 0, slowest2 = 0, once = 0;
    double bottleneck = 0, scalar_sum = 0;  // of X + O / m, of X + O / (m p)
    int begin = 0;
    int layout_before = -1;  // in which the stage in front must end; -1: any
    const StageChoice* choice = nullptr;
    int next = -1;  // the later stages

    bool no_worse(const Path& other) const {
      return sum <= other.sum && slowest <= other.slowest && slowest2 <= other.slowest2 &&
             once <= other.once;
    }
  };

  double total(const Path& path) const {
    return path.sum + solver_.repeats() * (path.slowest + path.slowest2) + path.once;
  }
  double bound(const Path& path, int stage) const {
    const std::size_t before = solver_.at(stage, path.begin);
    return path.scalar_sum + solver_.sum_before_[before] +
           solver_.repeats() * std::max(path.bottleneck, solver_.bottleneck_before_[before]);
  }

  void add_stage(int stage) {
    std::map<int, std::vector<int>> later_at;  // by begin
    for (int i = 0; i < static_cast<int>(done_.back().size()); ++i) {
      later_at[done_.back()[static_cast<std::size_t>(i)].begin].push_back(i);
    }
    found_.clear();
    for (; arc_ > 0 && solver_.arcs_[arc_ - 1].stage == stage; --arc_) {
      const Arc& arc = solver_.arcs_[arc_ - 1];
      const auto behind = later_at.find(arc.end);
      if (behind == later_at.end()) continue;
      for (const StageChoice& choice : arc.kind->front.choices) {
        if (stage == 0) extend(arc, choice, -1, behind->second);
        const int num_layouts = solver_.question_.layout_changes().num_layouts();
        for (int before = 0; stage > 0 && before < num_layouts; ++before) {
          extend(arc, choice, before, behind->second);
        }
      }
    }
    std::vector<Path> kept;
    for (const auto& [key, rivals] : found_) kept.insert(kept.end(), rivals.begin(), rivals.end());
    done_.push_back(std::move(kept));
  }

  // Puts a stage in front of every later path that it can meet.
  void extend(const Arc& arc, const StageChoice& choice, int layout_before,
              const std::vector<int>& behind) {
    TimePair own = solver_.question_.transfers(arc.begin, arc.end);
    own.time += choice.time;
    own.time2 += choice.time2;
    if (arc.stage > 0) {
      const LayoutChanges& changes = solver_.question_.layout_changes();
      const auto before = static_cast<std::size_t>(arc.begin - 1);
      const LayoutChange& change = changes.behind(solver_.tables().type_of_layer[before]);
      const auto moved =
          static_cast<std::size_t>(layout_before * changes.num_layouts() + choice.first_layout);
      own.time += change.time[moved];
      own.time2 += change.time2[moved];
    }
    for (const int index : behind) {
      const Path& path = done_.back()[static_cast<std::size_t>(index)];
      if (path.layout_before >= 0 && choice.last_layout != path.layout_before) continue;
      Path one;
      one.sum = path.sum + own.both();
      one.slowest = std::max(path.slowest, own.time);
      one.slowest2 = std::max(path.slowest2, own.time2);
      one.once = std::max(path.once, choice.once);
      one.scalar_sum = path.scalar_sum + own.both() + solver_.sum_share() * choice.once;
      one.bottleneck =
          std::max(path.bottleneck, own.both() + solver_.bottleneck_share() * choice.once);
      one.begin = arc.begin;
      one.layout_before = layout_before;
      one.choice = &choice;
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
  std::size_t arc_;                                         // arcs from here on are done
  std::vector<std::vector<Path>> done_;                     // [stages from the last]
  std::map<std::pair<int, int>, std::vector<Path>> found_;  // by (begin, layout_before)
};

ShapeAnswer ShapeSolver::join_stages(double cutoff) const { return Join(*this, cutoff).run(); }

}  // namespace galvatron::search
