// A plan as pictures in text: which stage has which layers under which strategy, which ranks form
// its groups, in which order the pipeline computes.
#pragma once
#include <string>
#include <vector>

#include "galvatron/cost/timeline.h"
#include "galvatron/plan/plan.h"

namespace galvatron::planning {

// Columns that the pictures take where the terminal does not say.
inline constexpr int kDrawingWidth = 100;

// One line per stage, one letter per layer; then what the letters mean.
//   stage 0  ranks 0-3  ABBBB
//   stage 1  ranks 4-7  BBBBA
// REQUIRES: the plan passed check_plan(). `layer_names`: ModelSpec::layer_names().
std::string draw_stages(const plan::Plan& plan, const std::vector<std::string>& layer_names,
                        int width = kDrawingWidth);

// The groups of ranks of each strategy, by the letters of draw_stages(): the first ones of the
// first pipeline rank, and how many there are.
std::string group_table(const plan::Plan& plan);

// One line per pipeline rank, time from left to right: a digit for a forward, a letter for a
// backward (0 and a of microbatch 0, 10, ...), '-' where gradients are reduced, '=' where weights
// are updated, '.' where it waits. Beginning and end where all of it is too wide.
std::string draw_timeline(const cost::Timeline& timeline, int width = kDrawingWidth);

// All of it. `scale`: what the timeline's lengths are, such as "as predicted".
std::string draw_plan(const plan::Plan& plan, const std::vector<std::string>& layer_names,
                      const cost::Timeline& timeline, const std::string& scale,
                      int width = kDrawingWidth);
// By ideal_timeline().
std::string draw_plan(const plan::Plan& plan, const std::vector<std::string>& layer_names,
                      int width = kDrawingWidth);

// The plan's schedule where no machine says how long things take: layers of one length, backwards
// of twice that, transfers of none.
cost::Timeline ideal_timeline(const plan::Plan& plan);

}  // namespace galvatron::planning
