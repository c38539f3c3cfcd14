#include "galvatron/search/solvers/interleaved_solver.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "galvatron/search/solvers/shape_question.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {

InterleavedSolver::InterleavedSolver(const cost::CostTables& tables,
                                     const cost::PipelineShape& shape,
                                     const std::vector<int>& layers_per_stage, std::int64_t budget)
    : tables_(tables),
      budget_(budget),
      types_(tables.cost.size()),
      picked_(tables.cost.size(), -1) {
  tables_.shape = shape;
  numbers_.resize(static_cast<std::size_t>(shape.num_stages()));
  moments_.resize(static_cast<std::size_t>(shape.pp_degree));
  loads_.resize(static_cast<std::size_t>(shape.pp_degree));
  choice_.resize(tables_.type_of_layer.size());
  classify(layers_per_stage);
  for (std::size_t type = 0; type < types_.size(); ++type) {
    std::vector<int>& ids = useful_.emplace_back();
    for (int id = 0; id < static_cast<int>(tables_.candidates[type].size()); ++id) {
      const bool near = tables_.candidates[type][static_cast<std::size_t>(id)].tp_consecutive;
      if (near) ids.push_back(id);
    }
    types_[type] = least_cost(type, ids);
  }
  order_types();
}

// The heaviest first, then always the heaviest of those that lie beside one that is in: what a
// change of layout costs is known when both sides are chosen.
void InterleavedSolver::order_types() {
  std::vector<double> weight(types_.size(), 0);
  for (const int type : tables_.type_of_layer) {
    const TypeCost& cost = types_[static_cast<std::size_t>(type)];
    weight[static_cast<std::size_t>(type)] += cost.forward_ms + cost.backward_ms;
  }
  std::vector<bool> in(types_.size(), false), beside(types_.size(), true);
  while (order_.size() < types_.size()) {
    std::size_t next = types_.size();
    for (std::size_t type = 0; type < types_.size(); ++type) {
      if (in[type] || !beside[type]) continue;
      if (next == types_.size() || weight[type] > weight[next]) next = type;
    }
    order_.push_back(next);
    in[next] = true;
    if (order_.size() == 1) beside.assign(types_.size(), false);
    for (std::size_t i = 1; i < tables_.type_of_layer.size(); ++i) {
      const auto a = static_cast<std::size_t>(tables_.type_of_layer[i - 1]);
      const auto b = static_cast<std::size_t>(tables_.type_of_layer[i]);
      if (in[a]) beside[b] = true;
      if (in[b]) beside[a] = true;
    }
  }
}

int InterleavedSolver::class_of(int stage) {
  const Range layers = stages_[static_cast<std::size_t>(stage)];
  StageClass made{std::vector<int>(types_.size(), 0), {}};
  for (std::int64_t i = layers.begin; i < layers.end; ++i) {
    const int type = tables_.type_of_layer[static_cast<std::size_t>(i)];
    ++made.layers[static_cast<std::size_t>(type)];
    const int before = i > 0 ? tables_.type_of_layer[static_cast<std::size_t>(i - 1)] : type;
    if (before != type) made.changes.emplace_back(before, type);
  }
  if (stage > 0) made.in_ms = tables_.border(static_cast<int>(layers.begin)).transfer_ms;
  if (stage + 1 < tables_.shape.num_stages()) {
    made.out_ms = tables_.border(static_cast<int>(layers.end)).transfer_ms;
  }
  const auto it = std::find(classes_.begin(), classes_.end(), made);
  const auto index = static_cast<int>(it - classes_.begin());
  if (it == classes_.end()) classes_.push_back(std::move(made));
  return index;
}

void InterleavedSolver::classify(const std::vector<int>& layers_per_stage) {
  const int num_stages = tables_.shape.num_stages(), p = tables_.shape.pp_degree;
  std::vector<Members> of_rank(static_cast<std::size_t>(p));
  for (int begin = 0; begin < num_stages; begin += p) {
    ChunkClass made;
    for (int stage = begin; stage < begin + p; ++stage) {
      const std::int64_t first = stages_.empty() ? 0 : stages_.back().end;
      stages_.push_back({first, first + layers_per_stage[static_cast<std::size_t>(stage)]});
      class_of_stage_.push_back(class_of(stage));
      ++made.members[class_of_stage_.back()];
      ++of_rank[static_cast<std::size_t>(stage - begin)][class_of_stage_.back()];
    }
    const auto it = std::find_if(chunks_.begin(), chunks_.end(), [&](const ChunkClass& known) {
      return known.members == made.members;
    });
    if (it == chunks_.end()) {
      chunks_.push_back(std::move(made));
    } else {
      ++it->count;
    }
  }
  for (const Members& members : of_rank) {
    if (std::find(ranks_.begin(), ranks_.end(), members) == ranks_.end()) ranks_.push_back(members);
  }
  class_numbers_.resize(classes_.size());
  chunk_numbers_.resize(chunks_.size());
}

InterleavedSolver::TypeCost InterleavedSolver::least_cost(std::size_t type,
                                                          const std::vector<int>& ids) const {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  TypeCost least{kInfinity, kInfinity, kInfinity, kMost, kMost};
  for (const int id : ids) {
    const cost::LayerCost& cost = tables_.cost[type][static_cast<std::size_t>(id)];
    least.forward_ms = std::min(least.forward_ms, cost.forward_ms);
    least.backward_ms = std::min(least.backward_ms, cost.backward_ms);
    least.once_ms = std::min(least.once_ms, cost.once_ms);
    least.state_bytes = std::min(least.state_bytes, cost.state_bytes);
    least.activation_bytes = std::min(least.activation_bytes, cost.small_activation_bytes);
  }
  return least;
}

// One way, when both types have a candidate; else it may be nothing.
double InterleavedSolver::change_ms(const std::pair<int, int>& types) const {
  const auto before = static_cast<std::size_t>(types.first);
  const auto after = static_cast<std::size_t>(types.second);
  if (picked_[before] < 0 || picked_[after] < 0) return 0;
  const cost::Border& border =
      tables_.borders[static_cast<std::size_t>(tables_.border_behind[before])];
  const auto layout_of = [&](std::size_t type) {
    const auto id = static_cast<std::size_t>(picked_[type]);
    return static_cast<std::size_t>(tables_.cost[type][id].layout);
  };
  return border.transition_ms[layout_of(before) * tables_.layouts.size() + layout_of(after)];
}

double InterleavedSolver::time_bound() {
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    cost::StageNumbers out{classes_[c].in_ms, classes_[c].out_ms, 0};
    for (std::size_t type = 0; type < types_.size(); ++type) {
      const double n = classes_[c].layers[type];
      if (n == 0) continue;
      out.forward_ms += n * types_[type].forward_ms;
      out.backward_ms += n * types_[type].backward_ms;
      out.once_ms += n * types_[type].once_ms;
    }
    for (const auto& types : classes_[c].changes) {
      const double change = change_ms(types);
      out.forward_ms += change;
      out.backward_ms += change;
    }
    class_numbers_[c] = out;
  }
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    chunk_numbers_[i] = {.count = chunks_[i].count};
    for (const auto& [id, times] : chunks_[i].members) {
      chunk_numbers_[i].add(class_numbers_[static_cast<std::size_t>(id)], times);
    }
  }
  double slowest_once = 0;
  for (const Members& members : ranks_) {
    double once = 0;
    for (const auto& [id, times] : members) {
      once += times * class_numbers_[static_cast<std::size_t>(id)].once_ms;
    }
    slowest_once = std::max(slowest_once, once);
  }
  const double steps = cost::interleaved_steps_ms(tables_.shape, chunk_numbers_);
  return (steps + slowest_once) * (1 - kRounding);
}

const std::vector<cost::FlightMoment>& InterleavedSolver::moments(int pp_rank) {
  auto& known = moments_[static_cast<std::size_t>(pp_rank)];
  if (known.empty()) known = cost::flight_moments(tables_.shape, pp_rank);
  return known;
}

const InterleavedSolver::RankLoad& InterleavedSolver::load(int pp_rank) {
  RankLoad& known = loads_[static_cast<std::size_t>(pp_rank)];
  if (!known.layers.empty()) return known;
  const auto total = [](const cost::FlightMoment& moment) {
    return std::accumulate(moment.in_flight.begin(), moment.in_flight.end(), 0);
  };
  const auto& all = moments(pp_rank);
  const auto fullest = std::max_element(
      all.begin(), all.end(), [&](const auto& a, const auto& b) { return total(a) < total(b); });
  known.layers.assign(types_.size(), 0);
  known.kept.assign(types_.size(), 0);
  for (int c = 0; c < tables_.shape.stages_per_rank; ++c) {
    const auto stage = static_cast<std::size_t>(c * tables_.shape.pp_degree + pp_rank);
    const StageClass& of_stage = classes_[static_cast<std::size_t>(class_of_stage_[stage])];
    for (std::size_t type = 0; type < types_.size(); ++type) {
      const std::int64_t n = of_stage.layers[type];
      known.layers[type] += n;
      known.kept[type] += n * fullest->in_flight[static_cast<std::size_t>(c)];
    }
  }
  return known;
}

// Without what layers need for a moment.
std::int64_t InterleavedSolver::bytes_bound(int pp_rank) {
  const RankLoad& of_rank = load(pp_rank);
  std::int64_t bytes = tables_.reserve_bytes;
  for (std::size_t type = 0; type < types_.size(); ++type) {
    bytes += of_rank.layers[type] * types_[type].state_bytes +
             of_rank.kept[type] * types_[type].activation_bytes;
  }
  return bytes;
}

std::int64_t InterleavedSolver::bytes_of(int pp_rank) {
  const cost::PipelineShape& shape = tables_.shape;
  std::vector<Range> stages;
  for (int stage = pp_rank; stage < shape.num_stages(); stage += shape.pp_degree) {
    stages.push_back(stages_[static_cast<std::size_t>(stage)]);
  }
  return cost::rank_memory_peak(tables_, choice_, stages, moments(pp_rank)).total();
}

// Candidates that can be part of a choice below the cutoff, the fastest first, so that a good
// choice is found early.
void InterleavedSolver::keep_useful(double cutoff) {
  for (std::size_t type = 0; type < types_.size(); ++type) {
    const TypeCost open = types_[type];
    std::vector<std::pair<double, int>> bounds;
    for (const int id : useful_[type]) {
      types_[type] = least_cost(type, {id});
      const double bound = time_bound();
      if (bound < cutoff && outer_ranks_may_fit()) bounds.emplace_back(bound, id);
    }
    std::sort(bounds.begin(), bounds.end());
    useful_[type].clear();
    for (const auto& [bound, id] : bounds) useful_[type].push_back(id);
    types_[type] = bounds.empty() ? open : least_cost(type, useful_[type]);
  }
}

// Layers that share a weight split it alike (check_plan).
bool InterleavedSolver::goes_with_tied(std::size_t type, int id) const {
  if (!tables_.tied_types.contains(static_cast<int>(type))) return true;
  const plan::LayerStrategy& mine = tables_.candidates[type][static_cast<std::size_t>(id)];
  for (const int other : tables_.tied_types) {
    const int picked = picked_[static_cast<std::size_t>(other)];
    if (picked < 0 || other == static_cast<int>(type)) continue;
    const plan::LayerStrategy& its =
        tables_.candidates[static_cast<std::size_t>(other)][static_cast<std::size_t>(picked)];
    if (!plan::split_parameters_alike(its, mine)) return false;
  }
  return true;
}

bool InterleavedSolver::may_fit(int pp_rank) {
  const std::int64_t bytes = bytes_bound(pp_rank);
  return by_memory_ ? bytes < least_bytes_ : bytes <= budget_;
}

// The first holds most microbatches, the last one the head.
bool InterleavedSolver::outer_ranks_may_fit() {
  return may_fit(0) && may_fit(tables_.shape.pp_degree - 1);
}

bool InterleavedSolver::may_fit() {
  if (!outer_ranks_may_fit()) return false;
  for (int rank = 1; rank + 1 < tables_.shape.pp_degree; ++rank) {
    if (!may_fit(rank)) return false;
  }
  return true;
}

// Counts a branch.
bool InterleavedSolver::is_spent() {
  constexpr std::int64_t kLookInterval = 1000;
  if (interrupted_ && work_ % kLookInterval == 0 && (*interrupted_)()) max_work_ = 0;
  return ++work_ >= max_work_;
}

void InterleavedSolver::descend(std::size_t level) {
  if (level == order_.size()) return try_choice();
  const std::size_t type = order_[level];
  const TypeCost open = types_[type];
  for (const int id : useful_[type]) {
    if (!goes_with_tied(type, id)) continue;
    if (is_spent()) break;
    types_[type] = least_cost(type, {id});
    picked_[type] = id;
    if ((by_memory_ || time_bound() < best_ms_) && may_fit()) descend(level + 1);
  }
  picked_[type] = -1;
  types_[type] = open;
}

void InterleavedSolver::try_choice() {
  for (std::size_t i = 0; i < choice_.size(); ++i) {
    choice_[i] = picked_[static_cast<std::size_t>(tables_.type_of_layer[i])];
  }
  if (!by_memory_) {
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
      numbers_[stage] =
          cost::stage_numbers(tables_, choice_, stages_[stage], static_cast<int>(stage));
    }
    const double step_ms = cost::pipeline_time_ms(tables_.shape, numbers_);
    if (step_ms >= best_ms_) return;
    for (int rank = 0; rank < tables_.shape.pp_degree; ++rank) {
      if (bytes_of(rank) > budget_) return;
    }
    best_ms_ = step_ms;
    best_ = choice_;
    return;
  }
  std::int64_t bytes = 0;
  for (int rank = 0; rank < tables_.shape.pp_degree && bytes < least_bytes_; ++rank) {
    bytes = std::max(bytes, bytes_of(rank));
  }
  least_bytes_ = std::min(least_bytes_, bytes);
}

std::vector<int> InterleavedSolver::solve(double cutoff, std::int64_t max_work,
                                          const std::function<bool()>* interrupted) {
  interrupted_ = interrupted;
  max_work_ = max_work;
  best_ms_ = cutoff;
  best_.clear();
  lower_bound_ = time_bound();
  if (lower_bound_ >= cutoff || !outer_ranks_may_fit()) return best_;
  keep_useful(cutoff);
  if (time_bound() < cutoff && may_fit()) descend(0);
  return best_;
}

std::int64_t InterleavedSolver::least_bytes_bound() {
  std::int64_t most = 0;
  for (int rank = 0; rank < tables_.shape.pp_degree; ++rank) {
    most = std::max(most, bytes_bound(rank));
  }
  return most;
}

std::int64_t InterleavedSolver::least_bytes(std::int64_t below, std::int64_t max_work) {
  max_work_ = max_work;
  by_memory_ = true;
  least_bytes_ = below;
  keep_useful(kInfinity);
  if (may_fit()) descend(0);
  return least_bytes_;
}

}  // namespace galvatron::search
