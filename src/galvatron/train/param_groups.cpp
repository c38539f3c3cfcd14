#include "galvatron/train/param_groups.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fnmatch.h>

#include "galvatron/base/error.h"
#include "galvatron/base/option.h"
#include "galvatron/models/hf_weights.h"

namespace galvatron::train {
namespace {

constexpr double kMostDecay = 1e3, kMostScale = 1e6;

[[noreturn]] void refuse_group(const std::string& text, const std::string& why) {
  throw ConfigError("[train] --param-group '", text, "': ", why,
                    "; one is PATTERN:lr=0.1x,weight_decay=0 or PATTERN:frozen");
}

double read_group_number(const std::string& text, const std::string& number, double most) {
  double out = 0;
  const char* const end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, out);
  if (error != std::errc() || stop != end || !(out >= 0) || out > most)
    refuse_group(text, "'" + number + "' is no number from 0 on");
  return out;
}

void read_group_setting(const std::string& text, const std::string& setting, ParamGroup& group) {
  const std::size_t equals = std::min(setting.find('='), setting.size());
  const std::string name = setting.substr(0, equals);
  if (name == "frozen") {
    if (equals < setting.size()) refuse_group(text, "frozen takes no value");
    group.frozen = true;
    return;
  }
  const std::string value = equals < setting.size() ? setting.substr(equals + 1) : "";
  if (name == "lr") {
    if (!value.ends_with('x'))
      refuse_group(text, "lr is a share of the schedule's, as 0.1x, not '" + value + "'");
    group.lr_scale = read_group_number(text, value.substr(0, value.size() - 1), kMostScale);
  } else if (name == "weight_decay") {
    group.weight_decay = read_group_number(text, value, kMostDecay);
  } else {
    refuse_group(text, "'" + name + "' is not one of lr, weight_decay, frozen");
  }
}

bool fits(const std::string& pattern, const models::HfTensor& tensor) {
  return std::any_of(tensor.names.begin(), tensor.names.end(), [&](const std::string& name) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

struct NamedPart {
  std::string full_name;
  models::HfTensor tensor;
};

// A tied parameter has the names of the first layer that uses it, as in a checkpoint.
std::vector<NamedPart> named_parts(const spec::ModelSpec& model) {
  std::vector<NamedPart> out;
  std::set<std::string> done;
  for (int layer = 0; layer < model.num_layers(); ++layer) {
    for (const spec::ParamSpec& param : model.layer(layer).params) {
      const std::string full_name = model.layer(layer).full_name(param);
      if (!done.insert(full_name).second) continue;
      for (models::HfTensor& tensor : models::hf_tensors(model, layer, param))
        out.push_back({full_name, std::move(tensor)});
    }
  }
  return out;
}

[[noreturn]] void refuse_idle_group(const std::string& text, int matched,
                                    const spec::ModelSpec& model,
                                    const std::vector<NamedPart>& all) {
  const std::string pattern = parse_param_group(text).pattern;
  if (matched > 0)
    throw ConfigError("[train] --param-group '", text, "': what '", pattern,
                      "' matches is of groups before it; give it first, or leave it away");
  throw ConfigError("[train] --param-group '", text, "': '", pattern,
                    "' matches no parameter of model '", model.name, "', whose names are like ",
                    all.front().tensor.names.front(), " and ", all.back().tensor.names.front());
}

}  // namespace

ParamGroup parse_param_group(const std::string& text) {
  const std::size_t colon = text.find(':');
  ParamGroup out;
  out.pattern = text.substr(0, std::min(colon, text.size()));
  if (out.pattern.empty()) refuse_group(text, "there is no pattern in front of ':'");
  if (colon >= text.size() || colon + 1 == text.size())
    refuse_group(text, "nothing says what to do with its parameters");
  const std::vector<std::string> settings = split_list(text.substr(colon + 1));
  for (const std::string& setting : settings) read_group_setting(text, setting, out);
  if (out.frozen && settings.size() > 1)
    refuse_group(text, "what is frozen has neither a learning rate nor a weight decay");
  return out;
}

ParamGroups::ParamGroups(const std::vector<std::string>& texts, const spec::ModelSpec& model) {
  if (texts.empty()) return;
  for (const std::string& text : texts) groups_.push_back(parse_param_group(text));
  std::vector<int> matched(groups_.size()), taken(groups_.size());
  bool is_anything_trained = false;
  const std::vector<NamedPart> all = named_parts(model);
  for (const NamedPart& part : all) {
    int first = -1;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      if (!fits(groups_[g].pattern, part.tensor)) continue;
      ++matched[g];
      if (first < 0) first = static_cast<int>(g);
    }
    if (first < 0 || !group(first).frozen) is_anything_trained = true;
    if (first < 0) continue;
    ++taken[static_cast<std::size_t>(first)];
    parts_[part.full_name].push_back({part.tensor.range, first});
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (taken[g] == 0) refuse_idle_group(texts[g], matched[g], model, all);
  }
  if (!is_anything_trained)
    throw ConfigError("[train] --param-group: all parameters of model '", model.name,
                      "' are frozen, so that nothing is left to train");
}

std::vector<ParamGroups::Part> ParamGroups::parts(const std::string& full_name) const {
  const auto found = parts_.find(full_name);
  return found == parts_.end() ? std::vector<Part>{} : found->second;
}

}  // namespace galvatron::train
