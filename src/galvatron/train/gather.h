// Text from every rank to every rank, and work that all ranks must have done before any goes on.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/comm/world.h"

namespace galvatron::train {

// Entry r is what rank r passed. Collective.
std::vector<std::string> gather_texts(comm::World& world, const std::string& text);

// Rank 0's text on every rank. Collective.
std::string broadcast_text(comm::World& world, const std::string& text);

// What went wrong on some rank, in the same words on every rank.
struct Problem {
  std::string text;
  bool is_config_error = false;  // else a RuntimeFailure
};

// Runs `body` on every rank and waits for all. Where it threw on any, every rank gets the first
// one's sentence, with rank and host unless all say the same. Collective.
std::optional<Problem> problem_of_any_rank(comm::World& world, const std::function<void()>& body);

// The same, thrown: no rank goes on unless all can.
void all_or_none(comm::World& world, const std::function<void()>& body);

}  // namespace galvatron::train
