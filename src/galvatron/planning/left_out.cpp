#include "galvatron/planning/left_out.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace galvatron::planning {
namespace {

template <typename T>
bool is_constrained(const search::Allowed<T>& allowed) {
  return !allowed.only.empty() || !allowed.never.empty() || allowed.least || allowed.most;
}

// The dimensions that the user's constraints touch.
std::vector<std::string> constrained(search::SearchSpace space) {
  std::vector<std::string> out;
  search::for_each_dimension(space, [&](const auto& field, const auto& allowed) {
    if (is_constrained(allowed)) out.emplace_back(field.name);
  });
  if (is_constrained(space.pp_degrees)) out.emplace_back("pp_degree");
  if (is_constrained(space.schedules)) out.emplace_back("schedule");
  if (is_constrained(space.num_microbatches)) out.emplace_back("num_microbatches");
  if (!space.uneven_stages) out.emplace_back("uneven stages");
  return out;
}

void add_unsupported(std::vector<std::string>& out) {
  plan::for_each_field([&](const auto& field) {
    if (field.supported()) return;
    out.push_back(fmt::format("{} above {}: not supported yet", field.name,
                              plan::value_text(field.standard())));
  });
  for (const plan::ScheduleTraits& schedule : plan::schedules()) {
    if (!schedule.searched) {
      out.push_back(
          fmt::format("schedule {}: a plan may have it, no search chooses it", schedule.name));
    }
  }
}

bool has_pipelines(const PreparedSearch& prepared) {
  return prepared.question.hardware.world_size > 1;
}
bool has_several_nodes_left(const PreparedSearch& prepared) {
  return prepared.question.hardware.num_nodes() > 1;
}
bool chooses_microbatches(const PreparedSearch& prepared) {
  return prepared.options.space.num_microbatches.only.empty();
}
bool applies_always(const PreparedSearch&) { return true; }

struct SpaceRule {
  const char* what;
  bool (*applies)(const PreparedSearch& prepared);
};

constexpr std::array kSpaceRules{
    SpaceRule{"interleaved pipelines of uneven stages, of several strategies for layers of a kind, "
              "or with TP ranks apart",
              &has_pipelines},
    SpaceRule{"microbatch counts between two that have largest microbatches of another size "
              "(--num-microbatches names one)",
              &chooses_microbatches},
    SpaceRule{"ZeRO stages above the lowest allowed where TP takes all ranks of a stage",
              &has_pipelines},
    SpaceRule{"ZeRO over a part of the replicas that is no whole node (--allow shard_degree=...)",
              &has_several_nodes_left},
    SpaceRule{"TP ranks apart inside one node, or together with Ulysses", &has_several_nodes_left},
    SpaceRule{"offloading to the host, devices or batches that differ between ranks",
              &applies_always}};

}  // namespace

std::vector<std::string> left_out(const PreparedSearch& prepared) {
  std::vector<std::string> out;
  const std::vector<std::string> names = constrained(prepared.options.space);
  if (!names.empty()) {
    out.push_back(
        fmt::format("what your constraints exclude: {}", fmt::to_string(fmt::join(names, ", "))));
  }
  for (const SpaceRule& rule : kSpaceRules) {
    if (rule.applies(prepared)) out.emplace_back(rule.what);
  }
  add_unsupported(out);
  return out;
}

}  // namespace galvatron::planning
