// Times of changing the layout between two neighbouring layers, one table per border of the model
// (cost/cost_tables.h): what a layer hands on depends on its type alone.
#pragma once
#include <vector>

namespace galvatron::search {

struct LayoutChange {
  // [from * num_layouts + to]
  std::vector<double> time, time2;
  // [a * num_layouts + b]: how much more a change from any layout to `a` can take than one to `b`.
  std::vector<double> detour, detour2;
};

class LayoutChanges {
 public:
  // `border_behind[type]`: index into `changes`, whose detours are filled in here.
  LayoutChanges(int num_layouts, std::vector<LayoutChange> changes, std::vector<int> border_behind);

  int num_layouts() const { return num_layouts_; }
  const LayoutChange& behind(int type) const {
    return changes_[static_cast<std::size_t>(border_behind_[static_cast<std::size_t>(type)])];
  }
  // Detours that hold at every border.
  const LayoutChange& anywhere() const { return anywhere_; }

 private:
  int num_layouts_;
  std::vector<LayoutChange> changes_;
  std::vector<int> border_behind_;
  LayoutChange anywhere_;
};

}  // namespace galvatron::search
