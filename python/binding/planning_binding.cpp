#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "galvatron/base/error.h"
#include "galvatron/base/foreign_options.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/planning/plan_drawing.h"
#include "galvatron/profiles/cluster_text.h"
#include "galvatron/search/report.h"
#include "galvatron/spec/model_table.h"
#include "galvatron/spec/presets.h"

#include "bindings.h"
#include "python_words.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kMaxCount = 1'000'000'000;

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

// A file, ours or Galvatron-2's, whose plans name no model.
Text read_plan(const fs::path& path, const std::optional<spec::ModelSpec>& model,
               const Text& options) {
  galvatron2::PlanFacts facts;
  galvatron2::plan_fact_options(facts).read(from_text(options, "Plan.read"), "Plan.read");
  const bool theirs = galvatron2::is_galvatron2_plan(read_json_file(path));
  if (!model && theirs) {
    throw ConfigError("[plan] model is missing: ", path.string(),
                      " is a plan of Galvatron-2's, which names none");
  }
  return plan::plan_to_json(
             galvatron2::read_any_plan(path.string(), model.value_or(spec::ModelSpec{}), facts))
      .dump();
}

// Also of what no plan file may hold.
std::optional<std::string> plan_problem(const Text& text, const spec::ModelSpec& model,
                                        int world_size, std::int64_t seq_length) {
  try {
    auto problem = plan::check_plan(to_plan(text), model, {world_size, seq_length});
    if (problem) problem = in_python_words(*problem);
    return problem;
  } catch (const ConfigError& error) {
    return in_python_words(error.what());
  }
}

Text plan_rows(const Text& plan) {
  const search::PlanRows rows = search::plan_rows(to_plan(plan));
  return OrderedJson{{"heads", rows.heads}, {"rows", rows.rows}}.dump();
}

std::string draw_plan(const Text& text, const spec::ModelSpec& model, int width) {
  const plan::Plan plan = to_plan(text);
  plan::require_valid_plan(plan, model);
  return planning::draw_plan(plan, model.layer_names(), width);
}

std::int64_t target_length(const spec::ModelSpec&, std::int64_t seq_length) {
  return spec::StreamSpec{.length_kind = spec::StreamSpec::Length::kTarget}.length(seq_length);
}

void bind_models_as_planned(py::module_& module) {
  py::class_<spec::ModelSpec>(module, "ModelSpec")
      .def_readonly("name", &spec::ModelSpec::name)
      .def_readonly("vocab_size", &spec::ModelSpec::vocab_size)
      .def_readonly("max_positions", &spec::ModelSpec::max_positions)
      .def_readonly("positions_skip_padding", &spec::ModelSpec::positions_skip_padding)
      .def_readonly("num_token_types", &spec::ModelSpec::num_token_types)
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
      .def_property_readonly(
          "facts", [](const spec::ModelSpec& model) { return spec::model_to_json(model).dump(); })
      .def("choose_seq_length", &spec::ModelSpec::choose_seq_length, py::arg("wish"),
           py::arg("usual"))
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
  module.def(
      "with_numbers",
      [](const spec::ModelSpec& model, const Text& numbers) {
        spec::ModelOverrides overrides;
        spec::model_override_options(overrides).read(from_text(numbers, "model"), "model");
        return spec::model_from_config(model.config, model.name, overrides);
      },
      py::arg("model"), py::arg("numbers"));
  module.def("model_options", [] {
    spec::ModelOverrides overrides;
    return describe_in_python_words(spec::model_override_options(overrides));
  });
  module.def("preset_names", &spec::preset_names);
  module.def("models", [] {
    OrderedJson out = OrderedJson::array();
    for (const spec::ModelSpec& model : spec::load_presets()) {
      out.push_back(spec::model_to_json(model));
    }
    return out.dump();
  });
  module.def("cluster_names", &profiles::cluster_names);
  module.def("clusters", [] { return profiles::all_clusters_to_json().dump(); });
  module.def(
      "fast_precision",
      [](const std::string& device) { return spec::to_text(spec::fast_precision(device)); },
      py::arg("device"));
  module.def(
      "bytes_text", [](std::int64_t bytes) { return to_text(Bytes{bytes}); }, py::arg("bytes"));
  module.def("time_text", [](double ms) { return to_text(Milliseconds{ms}); }, py::arg("ms"));
}

void bind_plans(py::module_& module) {
  module.def(
      "is_galvatron2_plan",
      [](const fs::path& path) { return galvatron2::is_galvatron2_plan(read_json_file(path)); },
      py::arg("path"));
  module.def("read_plan", &read_plan, py::arg("path"), py::arg("model"), py::arg("options"));
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
  module.def("plan_problem", &plan_problem, py::arg("plan"), py::arg("model"),
             py::arg("world_size"), py::arg("seq_length"));
  module.def("plan_rows", &plan_rows, py::arg("plan"));
  module.def("draw_plan", &draw_plan, py::arg("plan"), py::arg("model"), py::arg("width"));
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
  module.def(
      "unknown_option_hint",
      [](const std::string& name, const std::vector<std::string>& known) {
        return unknown_option_hint(name, known, /*dashes=*/false);
      },
      py::arg("name"), py::arg("known"));
  bind_models_as_planned(module);
  bind_plans(module);
  bind_profiles(module);
}

}  // namespace galvatron::binding
