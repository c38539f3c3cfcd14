#include "galvatron/planning/keyword_words.h"

#include <algorithm>
#include <string_view>

#include "galvatron/planning/frontier.h"
#include "galvatron/planning/plan_question.h"
#include "galvatron/planning/sweep.h"

namespace galvatron::planning {

std::string in_keyword_words(const std::string& text, const std::set<std::string>& names) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-";
  std::string out;
  bool in_command = false;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '`') in_command = !in_command;
    const bool begins = !in_command && text.compare(i, 2, "--") == 0;
    if (!begins) {
      out += text[i++];
      continue;
    }
    const std::size_t end = std::min(text.find_first_not_of(kLetters, i + 2), text.size());
    std::string name = text.substr(i + 2, end - i - 2);
    if (names.contains(name)) {
      std::replace(name.begin(), name.end(), '-', '_');
    } else {
      name.insert(0, "--");
    }
    out += name;
    i = end;
  }
  return out;
}

std::set<std::string> planning_option_names() {
  SweepRequest sweep;
  SearchRequest search;
  PlanQuestionRequest plan;
  FrontierRequest frontier;
  std::set<std::string> out;
  for (const OptionList& list : {sweep_options(sweep), search_options(search),
                                 plan_question_options(plan), frontier_options(frontier)}) {
    for (const Option& option : list.all()) out.insert(option.name);
  }
  return out;
}

}  // namespace galvatron::planning
