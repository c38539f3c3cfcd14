// Sentences of the rooms name options as the command line spells them; for Python and for the page
// they are keyword arguments.
#pragma once
#include <set>
#include <string>

namespace galvatron::planning {

// "--global-batch 64" as "global_batch 64", for every option among `names`. Commands to type, which
// stand in backticks, stay as they are.
std::string in_keyword_words(const std::string& text, const std::set<std::string>& names);

// Of all questions that planning answers: "global-batch".
std::set<std::string> planning_option_names();

}  // namespace galvatron::planning
