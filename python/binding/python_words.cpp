#include "python_words.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "galvatron/planning/frontier.h"
#include "galvatron/planning/plan_question.h"
#include "galvatron/planning/sweep.h"
#include "galvatron/train/train_options.h"

namespace galvatron::binding {
namespace {

std::set<std::string> make_known_options() {
  planning::SweepRequest sweep;
  planning::SearchRequest search;
  planning::PlanQuestionRequest simulate;
  planning::FrontierRequest frontier;
  train::TrainJob job;
  std::set<std::string> out = {"frontier"};  // a method of the result
  for (const OptionList& list : {planning::sweep_options(sweep), planning::search_options(search),
                                 planning::plan_question_options(simulate),
                                 planning::frontier_options(frontier), train::train_options(job)}) {
    for (const Option& option : list.all()) out.insert(option.name);
  }
  return out;
}

bool is_known_option(const std::string& name) {
  static const std::set<std::string> known = make_known_options();
  return known.contains(name);
}

}  // namespace

std::string in_python_words(const std::string& text) {
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
    if (is_known_option(name)) {
      std::replace(name.begin(), name.end(), '-', '_');
    } else {
      name.insert(0, "--");
    }
    out += name;
    i = end;
  }
  return out;
}

std::string describe_in_python_words(const OptionList& options) {
  OrderedJson out = options.describe();
  for (OrderedJson& option : out) option["help"] = in_python_words(option["help"]);
  return out.dump();
}

}  // namespace galvatron::binding
