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

}  // namespace

std::vector<int> tidy_choice(const ChoicePricer& pricer, std::vector<int> choice) {
  const double most_ms = pricer.step_ms(choice) * (1 + kRounding);
  for (const Segment& segment : pricer.segments()) {
    const auto begin = static_cast<std::size_t>(segment.layers.begin);
    const auto size = static_cast<std::size_t>(segment.layers.size());
    for (const Order order : {Order{by_first_appearance}, Order{by_last_appearance}}) {
      std::vector<int> other = choice;
      const auto ordered = order(std::span(choice).subspan(begin, size));
      std::copy(ordered.begin(), ordered.end(), other.begin() + segment.layers.begin);
      if (!pricer.fits(other, segment.stage) || pricer.step_ms(other) > most_ms) continue;
      choice = std::move(other);
      break;
    }
  }
  return choice;
}

}  // namespace galvatron::search
