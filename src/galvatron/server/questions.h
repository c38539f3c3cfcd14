// The questions of visualizer/src/api/types.ts, read into the values that planning takes. A request
// names presets, clusters and their shapes, or brings what a file holds: it never names a path.
// ConfigError for whatever is wrong with it.
#pragma once
#include <string>
#include <string_view>

#include "galvatron/base/json.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/planning/search_request.h"
#include "galvatron/planning/sweep.h"
#include "galvatron/views/plan_answer.h"

namespace galvatron::server {

// parse_json() of what somebody sent. Also refuses names and texts that are too long to be looked
// up: hints compare them with every name that we know.
inline constexpr Bytes kLongestText = kibibytes(64);
Json parse_content(std::string_view text, const std::string& source,
                   Bytes longest_text = kLongestText);

// "[plan] --memory 3" as a request spells it.
std::string in_request_words(const std::string& text);

// {"model", "machine", "options"}: what every question is about.
class Asked {
 public:
  explicit Asked(const Json& question);

  planning::PreparedSearch search() const;
  planning::FrontierRequest frontier() const;
  // The lists of its options; without one, what the question names.
  planning::SweepRequest sweep() const;

  // About a plan: with the model as the options change it.
  views::PlanQuestion plans() const;
  // {"name", "plan"}: ours or Galvatron-2's. `question`: plans().
  views::NamedPlan plan(const Json& named, const views::PlanQuestion& question) const;

 private:
  spec::ModelSpec find_model(const Json& model, const spec::ModelOverrides& overrides) const;
  planning::MachineKnowledge machine(const Json& cluster) const;
  // Those that the list has; what another question has is left out.
  void read_options(const OptionList& list) const;

  Json model_, machine_, options_;
};

}  // namespace galvatron::server
