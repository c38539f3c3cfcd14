#include "galvatron/server/questions.h"

#include <set>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/planning/keyword_words.h"
#include "galvatron/profiles/cluster.h"
#include "galvatron/spec/presets.h"

namespace galvatron::server {
namespace {

constexpr Bytes kLongestName{256};
constexpr std::size_t kMostValues = 1000;  // of one option
// Of the model of a config that says no name, and of what is no name's.
constexpr const char *kUnnamed = "model", *kThisCluster = "cluster";
// Steps of all stages that a simulation walks through; more take seconds and gigabytes.
constexpr std::int64_t kMostSteps = 1'000'000;

void require_short(const std::string& text, Bytes most, const char* what,
                   const std::string& source) {
  const Bytes size{static_cast<std::int64_t>(text.size())};
  if (size <= most) return;
  throw ConfigError("[json] ", source, ": a ", what, " of ", to_text(size), " is longer than ",
                    to_text(most), ": ", text.substr(0, 40), "...");
}

void require_short_texts(const Json& value, Bytes longest_text, const std::string& source) {
  if (value.is_string()) {
    require_short(value.get_ref<const std::string&>(), longest_text, "text", source);
  }
  if (!value.is_structured()) return;
  for (const auto& [key, item] : value.items()) {
    if (value.is_object()) require_short(key, kLongestName, "name", source);
    require_short_texts(item, longest_text, source);
  }
}

std::string name_in(const Json& value, const char* what) {
  const auto& name = value.get_ref<const std::string&>();
  require_short(name, kLongestName, "name", what);
  return name;
}

// Every option of every question: what is none of them is nobody's.
const OptionList& all_options() {
  static planning::SearchRequest search;
  static planning::FrontierRequest frontier;
  static planning::SweepRequest sweep;
  static planning::PlanQuestionRequest plan;
  static spec::ModelOverrides overrides;
  static const OptionList kAll = [] {
    OptionList list = spec::model_override_options(overrides);
    list.append(planning::search_options(search));
    list.append(planning::frontier_options(frontier));
    list.append(planning::plan_question_options(plan));
    list.append(planning::sweep_options(sweep).without({"hardware", "profile"}));
    return list;
  }();
  return kAll;
}

void check_options(const Json& options) {
  if (!options.is_object()) throw ConfigError("[options] must be an object of names and values");
  for (const auto& [name, value] : options.items()) {
    if (all_options().find(name) == nullptr) all_options().read({{name, nullptr}}, "options");
    if (value.is_array() && value.size() > kMostValues) {
      throw ConfigError("[options] ", name, " has ", value.size(), " values, more than ",
                        kMostValues);
    }
  }
}

// What a config says of its name, as transformers writes it.
std::string name_of(const Json& config) {
  const Json* name = find_value(config, "_name_or_path");
  if (name == nullptr || !name->is_string()) return kUnnamed;
  const auto& path = name->get_ref<const std::string&>();
  const std::string last = path.substr(path.rfind('/') + 1);
  return last.empty() || last.size() > static_cast<std::size_t>(kLongestName.value) ? kUnnamed
                                                                                    : last;
}

void require_small(const plan::Plan& plan) {
  const std::int64_t stages = plan.pipeline.num_stages();
  if (stages * plan.num_microbatches <= kMostSteps) return;
  throw ConfigError("[plan] ", plan.num_microbatches, " microbatches through ", stages,
                    " stages are more than the ", kMostSteps,
                    " steps that are answered here; `galvatron simulate` takes its time for them");
}

}  // namespace

Json parse_content(std::string_view text, const std::string& source, Bytes longest_text) {
  Json out = parse_json(text, source);
  require_short_texts(out, longest_text, source);
  return out;
}

std::string in_request_words(const std::string& text) {
  static const std::set<std::string> kNames = planning::planning_option_names();
  return planning::in_keyword_words(text, kNames);
}

Asked::Asked(const Json& question) {
  JsonReader reader(question, "the question", Nulls::kAbsent);
  model_ = reader.get("model");
  machine_ = reader.has("machine") ? reader.get("machine") : Json::object();
  options_ = reader.has("options") ? reader.get("options") : Json::object();
  for (const char* known : {"machine", "options"}) reader.ignore(known);
  reader.finish();
  const JsonReader is_object(machine_, "machine");
  check_options(options_);
}

spec::ModelSpec Asked::find_model(const Json& model, const spec::ModelOverrides& overrides) const {
  if (model.is_string()) return spec::load_preset(name_in(model, "model"), overrides);
  if (!model.is_object()) {
    throw ConfigError("[model] must be the name of a preset or the content of a config.json, not ",
                      model.type_name());
  }
  return spec::model_from_config(model, name_of(model), overrides);
}

planning::MachineKnowledge Asked::machine(const Json& cluster) const {
  JsonReader reader(machine_, "machine", Nulls::kAbsent);
  reader.ignore("cluster");
  planning::MachineKnowledge out;
  if (cluster.is_string()) {
    out.cluster = profiles::cluster_from_name(name_in(cluster, "cluster"));
  } else if (!cluster.is_null()) {
    out.cluster = profiles::cluster_from_json(cluster, "the cluster");
  }
  if (reader.has("hardware")) {
    out.hardware =
        profiles::hardware_profile_from_json(reader.get("hardware"), "the hardware profile");
  }
  if (reader.has("profile")) {
    out.profile = profiles::model_profile_from_json(reader.get("profile"), "the model profile");
  }
  for (const char* known : {"hardware", "profile"}) reader.ignore(known);
  reader.finish();
  return out;
}

void Asked::read_options(const OptionList& list) const {
  Json own = Json::object();
  for (const auto& [name, value] : options_.items()) {
    if (list.find(name) != nullptr) own[name] = value;
  }
  list.read(own, "options");
}

planning::PreparedSearch Asked::search() const {
  planning::SearchRequest request;
  spec::ModelOverrides overrides;
  OptionList list = spec::model_override_options(overrides);
  list.append(planning::search_options(request));
  read_options(list);
  return planning::prepare_search(request, find_model(model_, overrides),
                                  machine(machine_.value("cluster", Json())));
}

planning::FrontierRequest Asked::frontier() const {
  planning::FrontierRequest request;
  read_options(planning::frontier_options(request));
  return request;
}

planning::SweepRequest Asked::sweep() const {
  planning::SweepRequest request;
  read_options(planning::sweep_options(request).without({"hardware", "profile"}));
  const Json cluster = machine_.value("cluster", Json());
  const std::string own_model = model_.is_string() ? name_in(model_, "model") : name_of(model_);
  const std::string own_cluster = cluster.is_string() ? name_in(cluster, "cluster") : kThisCluster;
  // What every row needs is looked for first: a name that nobody knows is no answer's line.
  if (request.models.empty()) {
    find_model(model_, request.overrides);
    request.models = {own_model};
  }
  if (request.clusters.empty()) {
    machine(cluster);
    request.clusters = {cluster.is_null() ? "" : own_cluster};
  }
  request.find_model = [asked = *this, own_model,
                        overrides = request.overrides](const std::string& name) {
    return asked.find_model(name == own_model ? asked.model_ : Json(name), overrides);
  };
  request.find_machine = [asked = *this, own_cluster, cluster](const std::string& name) {
    if (name.empty()) return asked.machine(Json());
    return asked.machine(name == own_cluster ? cluster : Json(name));
  };
  return request;
}

views::PlanQuestion Asked::plans() const {
  views::PlanQuestion out;
  spec::ModelOverrides overrides;
  OptionList list = spec::model_override_options(overrides);
  list.append(planning::plan_question_options(out.request));
  read_options(list);
  out.model = find_model(model_, overrides);
  out.machine = machine(machine_.value("cluster", Json()));
  return out;
}

views::NamedPlan Asked::plan(const Json& named, const views::PlanQuestion& question) const {
  JsonReader reader(named, "the plan", Nulls::kAbsent);
  const std::string name = reader.get_string_or("name", "the plan");
  require_short(name, kLongestName, "name", "the plan");
  const Json& content = reader.get("plan");
  reader.finish();
  galvatron2::PlanFacts facts;
  if (galvatron2::is_galvatron2_plan(content)) {
    read_options(galvatron2::plan_fact_options(facts).without({"model"}));
    const planning::MachineKnowledge& machine = question.machine;
    if (facts.world_size == 0 && machine.cluster) {
      facts.world_size = machine.cluster->spec.world_size();
    }
    if (facts.world_size == 0 && machine.hardware) facts.world_size = machine.hardware->world_size;
  }
  views::NamedPlan out{name, galvatron2::any_plan_from_json(content, name, question.model, facts)};
  require_small(out.plan);
  return out;
}

}  // namespace galvatron::server
