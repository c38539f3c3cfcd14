#include "python_words.h"

#include <set>

#include "galvatron/planning/keyword_words.h"
#include "galvatron/train/train_options.h"

namespace galvatron::binding {
namespace {

std::set<std::string> make_known_options() {
  std::set<std::string> out = planning::planning_option_names();
  out.insert("frontier");  // a method of the result
  train::TrainJob job;
  train::EvaluationRequest evaluation;
  for (const OptionList& list :
       {train::train_options(job), train::evaluation_options(job, evaluation)}) {
    for (const Option& option : list.all()) out.insert(option.name);
  }
  return out;
}

}  // namespace

std::string in_python_words(const std::string& text) {
  static const std::set<std::string> known = make_known_options();
  return planning::in_keyword_words(text, known);
}

std::string describe_in_python_words(const OptionList& options) {
  OrderedJson out = options.describe();
  for (OrderedJson& option : out) option["help"] = in_python_words(option["help"]);
  return out.dump();
}

}  // namespace galvatron::binding
