// Results of a search for Galvatron-2's question as text for people.
#pragma once
#include <string>

#include "galvatron/galvatron2/search.h"

namespace galvatron::galvatron2 {

// The plan, its stages' memory against their limit, the predicted step.
std::string to_text(const Found& found, Bytes budget);
// Certificate and runner-ups.
std::string explain(const SearchResult& result);
// One sentence: how much the leanest plan needs.
std::string to_text(const Miss& miss, Bytes budget);

}  // namespace galvatron::galvatron2
