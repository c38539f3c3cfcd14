// Galvatron-2's question answered exactly: its profiles, its formulas, its space, its score.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/cost/galvatron2_cost.h"
#include "galvatron/plan/galvatron2_plan.h"
#include "galvatron/profiles/galvatron2_profiles.h"
#include "galvatron/search/certificate.h"
#include "galvatron/search/galvatron2_space.h"

namespace galvatron::search {

struct Galvatron2Found {
  plan::Galvatron2Plan plan;
  cost::Galvatron2Score score;
};

// The plan that comes nearest to the budget when none fits.
struct Galvatron2Miss {
  cost::Galvatron2Shape shape;
  Bytes budget_needed;  // the reserve of 20 % included
};

struct Galvatron2SearchResult {
  std::optional<Galvatron2Found> best;  // nullopt: nothing fits
  std::vector<Galvatron2Found> runners_up;
  std::optional<Galvatron2Miss> closest_miss;  // when nothing fits
  Certificate certificate;
};

// Among plans of equal score the one with the fewest changes of layout between neighbouring
// layers. ConfigError for options that no plan can meet or profiles that lack an entry.
Galvatron2SearchResult search_galvatron2(const Galvatron2SearchOptions& options,
                                         const profiles::Galvatron2Profiles& profiles);

}  // namespace galvatron::search
