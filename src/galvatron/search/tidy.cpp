#include "galvatron/search/tidy.h"

#include <algorithm>
#include <span>

#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {
namespace {

// Where the candidates of a run of equal layers go.
using Order = std::vector<int> (*)(std::span<const int>);

// Equal ones together, in the order in which they first appear.
std::vector<int> by_first_appearance(std::span<const int> run) {
  std::vector<int> seen, out;
  for (const int one : run) {
    if (std::find(seen.begin(), seen.end(), one) == seen.end()) seen.push_back(one);
  }
  for (const int kind : seen) out.insert(out.end(), std::count(run.begin(), run.end(), kind), kind);
  return out;
}

// The same from the other end.
std::vector<int> by_last_appearance(std::span<const int> run) {
  std::vector<int> reversed(run.rbegin(), run.rend());
  std::vector<int> out = by_first_appearance(reversed);
  std::reverse(out.begin(), out.end());
  return out;
}

using StageFlights = std::vector<std::vector<cost::FlightMoment>>;

bool is_as_good(const cost::CostTables& tables, const StageFlights& flights,
                const std::vector<int>& layers_per_stage, const std::vector<int>& choice,
                std::int64_t budget, double step_ms) {
  std::vector<cost::StageNumbers> numbers;
  std::int64_t begin = 0;
  for (int stage = 0; stage < tables.shape.pp_degree; ++stage) {
    const Range layers{begin, begin + layers_per_stage[static_cast<std::size_t>(stage)]};
    const auto& moments = flights[static_cast<std::size_t>(stage)];
    const std::span stages(&layers, 1);
    if (cost::rank_memory_peak(tables, choice, stages, moments).total() > budget) return false;
    numbers.push_back(cost::stage_numbers(tables, choice, layers, stage));
    begin = layers.end;
  }
  return cost::pipeline_time_ms(tables.shape, numbers) <= step_ms * (1 + kRounding);
}

double step_of(const cost::CostTables& tables, const std::vector<int>& layers_per_stage,
               const std::vector<int>& choice) {
  std::vector<cost::StageNumbers> numbers;
  std::int64_t begin = 0;
  for (int stage = 0; stage < tables.shape.pp_degree; ++stage) {
    const Range layers{begin, begin + layers_per_stage[static_cast<std::size_t>(stage)]};
    numbers.push_back(cost::stage_numbers(tables, choice, layers, stage));
    begin = layers.end;
  }
  return cost::pipeline_time_ms(tables.shape, numbers);
}

}  // namespace

std::vector<int> tidy_choice(const cost::CostTables& tables,
                             const std::vector<int>& layers_per_stage, std::vector<int> choice,
                             std::int64_t budget) {
  const StageFlights flights = cost::flight_moments(tables.shape);
  const double step_ms = step_of(tables, layers_per_stage, choice);
  std::size_t begin = 0;
  for (const int layers : layers_per_stage) {
    const std::size_t stage_end = begin + static_cast<std::size_t>(layers);
    while (begin < stage_end) {
      std::size_t end = begin;
      while (end < stage_end && tables.type_of_layer[end] == tables.type_of_layer[begin]) ++end;
      for (const Order order : {Order{by_first_appearance}, Order{by_last_appearance}}) {
        std::vector<int> other = choice;
        const auto ordered = order(std::span(choice).subspan(begin, end - begin));
        std::copy(ordered.begin(), ordered.end(),
                  other.begin() + static_cast<std::ptrdiff_t>(begin));
        if (!is_as_good(tables, flights, layers_per_stage, other, budget, step_ms)) continue;
        choice = std::move(other);
        break;
      }
      begin = end;
    }
  }
  return choice;
}

}  // namespace galvatron::search
