// Galvatron-2's question answered exactly: its profiles, its formulas, its space, its score.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/galvatron2/cost.h"
#include "galvatron/galvatron2/plan.h"
#include "galvatron/galvatron2/profiles.h"
#include "galvatron/galvatron2/space.h"
#include "galvatron/search/certificate.h"

namespace galvatron::galvatron2 {

struct Found {
  Plan plan;
  Score score;
};

// The plan that comes nearest to the budget when none fits.
struct Miss {
  Shape shape;
  Bytes budget_needed;  // the reserve of 20 % included
};

struct SearchResult {
  std::optional<Found> best;  // nullopt: nothing fits
  std::vector<Found> runners_up;
  std::optional<Miss> closest_miss;  // when nothing fits
  search::Certificate certificate;
};

// Among plans of equal score the one with the fewest changes of layout between neighbouring
// layers. ConfigError for options that no plan can meet or profiles that lack an entry.
SearchResult search_best_plan(const SearchOptions& options, const Profiles& profiles);

}  // namespace galvatron::galvatron2
