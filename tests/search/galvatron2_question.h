// A recorded case (cost/galvatron2_case.h) as a question to our search.
#pragma once
#include "galvatron/search/galvatron2_search.h"

#include "cost/galvatron2_case.h"

namespace galvatron::search {

inline Galvatron2SearchOptions galvatron2_question(const cost::Galvatron2Case& recorded) {
  const Json& settings = recorded.json["settings"];
  Galvatron2SearchOptions options;
  options.job = recorded.job;
  options.memory = recorded.memory;
  options.global_batches = {recorded.json["global_batch"]};
  if (!settings["chunks"].is_null()) options.num_microbatches = settings["chunks"];
  options.max_tp = settings["max_tp"];
  options.max_pp = settings["max_pp"];
  options.max_ulysses = settings["max_sp"];
  return options;
}

}  // namespace galvatron::search
