#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "galvatron/base/error.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/baselines.h"
#include "galvatron/planning/explain.h"
#include "galvatron/planning/plan_question.h"
#include "galvatron/search/report.h"

#include "bindings.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

namespace fs = std::filesystem;
using Text = std::string;  // JSON

constexpr std::int64_t kMaxCount = 1'000'000'000;

plan::Plan to_plan(const Text& text) {
  return plan::plan_from_json(from_text(text, "the plan"), "the plan");
}

profiles::HardwareProfile to_hardware(const Text& text) {
  return profiles::hardware_profile_from_json(from_text(text, "the hardware profile"),
                                              "the hardware profile");
}

profiles::ModelProfile to_profile(const Text& text) {
  return profiles::model_profile_from_json(from_text(text, "the model profile"),
                                           "the model profile");
}

OrderedJson found_to_json(const search::FoundPlan& found) {
  return {{"plan", plan::plan_to_json(found.plan)}, {"cost", cost::plan_cost_to_json(found.cost)}};
}

OrderedJson miss_to_json(const search::ClosestMiss& miss, Bytes budget) {
  return {{"sentence", search::to_text(miss, budget)},
          {"needed_bytes", miss.needed.value},
          {"memory_bytes", budget.value},
          {"pp_degree", miss.pp_degree},
          {"num_microbatches", miss.num_microbatches},
          {"global_batch", miss.global_batch}};
}

planning::MachineKnowledge to_machine(const std::optional<Text>& hardware,
                                      const std::optional<Text>& profile,
                                      const std::optional<std::string>& cluster) {
  planning::MachineKnowledge knowledge;
  if (hardware) knowledge.hardware = to_hardware(*hardware);
  if (profile) knowledge.profile = to_profile(*profile);
  if (cluster) knowledge.cluster = profiles::load_cluster(*cluster);
  return knowledge;
}

Text search_plans(const spec::ModelSpec& model, const Text& options,
                  const std::optional<Text>& hardware, const std::optional<Text>& profile,
                  const std::optional<std::string>& cluster, bool explains) {
  planning::SearchRequest request;
  planning::search_options(request).read(from_text(options, "search"), "search");
  const planning::PreparedSearch prepared =
      planning::prepare_search(request, model, to_machine(hardware, profile, cluster));
  search::SearchResult result = prepared.run();
  const Bytes budget = prepared.options.memory;
  OrderedJson out;
  if (!result.best && !result.closest_miss) {
    throw ConfigError("[search] ", no_plan_text(result, budget));
  }
  if (!result.best) {
    out["miss"] = miss_to_json(*result.closest_miss, budget);
    return out.dump();
  }
  plan::Plan& best = result.best->plan;
  const std::vector<planning::Baseline> baselines =
      planning::find_baselines(prepared.question.inputs(best.global_batch), budget);
  best.search = planning::search_to_json(prepared.question, result);
  best.search["baselines"] = planning::baselines_to_json(baselines, *result.best);
  plan::record_question(best, prepared.question.inputs(best.global_batch).job);
  out["best"] = found_to_json(*result.best);
  out["runners_up"] = OrderedJson::array();
  for (const search::FoundPlan& other : result.runners_up)
    out["runners_up"].push_back(found_to_json(other));
  if (!explains) return out.dump();
  const planning::Explanation explanation = planning::explain(prepared, result);
  out["explanation"] = to_text(*result.best, budget) + "\n" + to_text(baselines, *result.best) +
                       to_text(explanation, result, budget);
  return out.dump();
}

Text simulate(const spec::ModelSpec& model, const Text& plan_text, const Text& options,
              const std::optional<Text>& hardware, const std::optional<Text>& profile,
              const std::optional<std::string>& cluster) {
  planning::PlanQuestionRequest request;
  planning::plan_question_options(request).read(from_text(options, "simulate"), "simulate");
  const planning::PricedPlan priced = planning::price_plan(
      request, to_plan(plan_text), model, to_machine(hardware, profile, cluster), "the plan");
  const OrderedJson out = {
      {"cost", cost::plan_cost_to_json(priced.cost)},
      {"timeline", cost::to_chrome_trace(priced.cost.timeline, priced.plan.model)},
      {"table", planning::priced_plan_table(priced)}};
  return out.dump();
}

Text uniform_plan(const spec::ModelSpec& model, const Text& text) {
  const Json json = from_text(text, "Plan.uniform");
  JsonReader reader(json, "Plan.uniform", Nulls::kAbsent);
  const auto count = [&](const char* key, std::int64_t standard) {
    return static_cast<int>(reader.get_int_or(key, standard, 1, kMaxCount));
  };
  spec::JobSpec job;
  job.global_batch = count("global_batch", job.global_batch);
  job.precision = reader.get_enum_or("precision", job.precision);
  const plan::LayerStrategy strategy = plan::read_strategy(reader, plan::FieldsOf::kOptions);
  const int world_size = count("world_size", 1), pp_degree = count("pp_degree", 1);
  const int num_microbatches = count("num_microbatches", 1);
  const auto schedule =
      plan::parse_schedule(reader.get_choice_or("schedule", "1f1b", plan::schedule_names()));
  const int stages_per_rank =
      count("stages_per_rank", plan::traits(schedule).usual_stages_per_rank);
  reader.finish();
  return plan::plan_to_json(plan::uniform_plan(model, job, world_size, strategy, pp_degree,
                                               num_microbatches, schedule, stages_per_rank))
      .dump();
}

std::int64_t target_length(const spec::ModelSpec&, std::int64_t seq_length) {
  return spec::StreamSpec{.length_kind = spec::StreamSpec::Length::kTarget}.length(seq_length);
}

void bind_models_as_planned(py::module_& module) {
  py::class_<spec::ModelSpec>(module, "ModelSpec")
      .def_readonly("name", &spec::ModelSpec::name)
      .def_readonly("vocab_size", &spec::ModelSpec::vocab_size)
      .def_readonly("max_positions", &spec::ModelSpec::max_positions)
      .def_property_readonly("task",
                             [](const spec::ModelSpec& model) { return spec::to_text(model.task); })
      .def_property_readonly("image_shape",
                             [](const spec::ModelSpec& model) {
                               const spec::ImageSpec& image = model.image;
                               return std::vector<std::int64_t>{image.channels, image.height,
                                                                image.width};
                             })
      .def_property_readonly("num_classes",
                             [](const spec::ModelSpec& model) { return model.image.num_classes; })
      .def_property_readonly("config",
                             [](const spec::ModelSpec& model) { return model.config.dump(); })
      .def_property_readonly("num_params", &spec::ModelSpec::num_params)
      .def_property_readonly("num_layers", &spec::ModelSpec::num_layers)
      .def("target_length", &target_length, py::arg("seq_length"));
  module.def(
      "load_model", [](const std::string& model) { return spec::load_model(model); },
      py::arg("model"));
  module.def(
      "model_from_config",
      [](const Text& config, const std::string& name) {
        return spec::model_from_config(from_text(config, name.c_str()), name);
      },
      py::arg("config"), py::arg("name"));
  module.def("preset_names", &spec::preset_names);
  module.def("cluster_names", &profiles::cluster_names);
}

void bind_plans(py::module_& module) {
  module.def(
      "read_plan",
      [](const fs::path& path) { return plan::plan_to_json(plan::read_plan(path)).dump(); },
      py::arg("path"));
  module.def(
      "checked_plan", [](const Text& plan) { return plan::plan_to_json(to_plan(plan)).dump(); },
      py::arg("plan"));
  module.def(
      "plan_text", [](const Text& plan) { return plan::plan_to_text(to_plan(plan)); },
      py::arg("plan"));
  module.def(
      "plan_summary", [](const Text& plan) { return plan::summarize(to_plan(plan)); },
      py::arg("plan"));
  module.def(
      "write_plan",
      [](const fs::path& path, const Text& plan) { plan::write_plan(path, to_plan(plan)); },
      py::arg("path"), py::arg("plan"));
  module.def(
      "plan_problem",
      [](const Text& plan, const spec::ModelSpec& model, int world_size, std::int64_t seq_length) {
        return plan::check_plan(to_plan(plan), model, {world_size, seq_length});
      },
      py::arg("plan"), py::arg("model"), py::arg("world_size"), py::arg("seq_length"));
  module.def("strategy_fields", [] { return plan::strategy_fields_to_json().dump(); });
  module.def("uniform_plan", &uniform_plan, py::arg("model"), py::arg("options"));
}

void bind_profiles(py::module_& module) {
  module.def(
      "read_hardware_profile",
      [](const fs::path& path) {
        return profiles::hardware_profile_to_json(profiles::read_hardware_profile(path)).dump();
      },
      py::arg("path"));
  module.def(
      "write_hardware_profile",
      [](const fs::path& path, const Text& text) {
        profiles::write_hardware_profile(path, to_hardware(text));
      },
      py::arg("path"), py::arg("profile"));
  module.def(
      "read_model_profile",
      [](const fs::path& path) {
        return profiles::model_profile_to_json(profiles::read_model_profile(path)).dump();
      },
      py::arg("path"));
  module.def(
      "write_model_profile",
      [](const fs::path& path, const Text& text) {
        profiles::write_model_profile(path, to_profile(text));
      },
      py::arg("path"), py::arg("profile"));
}

}  // namespace

void bind_planning(py::module_& module) {
  bind_models_as_planned(module);
  bind_plans(module);
  bind_profiles(module);
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  module.def("search_options", [] {
    planning::SearchRequest request;
    return planning::search_options(request).describe().dump();
  });
  module.def("search", &search_plans, py::arg("model"), py::arg("options"), py::arg("hardware"),
             py::arg("profile"), py::arg("cluster"), py::arg("explains"), no_gil);
  module.def("simulate_options", [] {
    planning::PlanQuestionRequest request;
    return planning::plan_question_options(request).describe().dump();
  });
  module.def("simulate", &simulate, py::arg("model"), py::arg("plan"), py::arg("options"),
             py::arg("hardware"), py::arg("profile"), py::arg("cluster"), no_gil);
}

}  // namespace galvatron::binding
