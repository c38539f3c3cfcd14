// What a plan for a job is searched with, and how the ranks of a launcher come to the same one: for
// galvatron.train(plan="auto"), which searches by galvatron.search().
#include <pybind11/stl.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/kept_profiles.h"
#include "galvatron/train/data_fit.h"

#include "bindings.h"
#include "python_words.h"
#include "training_job.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

// Beside the options of train().
struct ProfileRequest {
  std::string cache_dir = profiler::default_cache_dir();
  bool refresh = false;
  std::string calibration;

  OptionList options() {
    OptionList list;
    list.group(train::kPlanOptions);
    list.path("cache-dir", cache_dir,
              "Where plan=\"auto\" keeps the profiles that it searches with");
    list.flag("refresh", refresh, "plan=\"auto\" measures again what is kept there");
    list.path("calibration", calibration,
              "Factors of a run's parts over their prediction that plan=\"auto\" searches with");
    return list;
  }
};

class AutoPlan {
 public:
  AutoPlan(const Text& options, const Text& profile_options,
           const std::optional<py::function>& make_samples, const std::string& binary,
           const std::string& library_path)
      : environment_(next_environment()) {
    train::TrainJob job;
    read_job(options, train::train_options(job), "train", job);
    take_samples(make_samples, job);
    ProfileRequest request;
    request.options().read(from_text(profile_options, "train"), "train");
    const py::gil_scoped_release release;
    if (environment_.world_size > 1) comm::prepare_process();
    const train::PreparedJob inputs = train::prepare_inputs(job);
    train::check_outputs(inputs);
    profiles_.binary = binary;
    profiles_.library_path = library_path;
    profiles_.model = train::model_for_commands(inputs.job, inputs.model, request.cache_dir);
    profiles_.overrides = inputs.job.overrides;
    profiles_.job = train::job_spec(inputs);
    profiles_.world_size = environment_.world_size;
    profiles_.ranks_per_node = environment_.local_world_size;
    profiles_.device = comm::pick_device(job.device).is_cuda() ? "cuda" : "cpu";
    profiles_.cache_dir = request.cache_dir;
    profiles_.refresh = request.refresh;
    calibration_ = request.calibration;
    model_ = inputs.model;
  }

  const spec::ModelSpec& model() const { return model_; }
  bool is_first() const { return environment_.rank == 0; }
  Text question() const {
    OrderedJson out = {{"world_size", profiles_.world_size},
                       {"seq_length", profiles_.job.seq_length},
                       {"global_batch", profiles_.job.global_batch},
                       {"precision", spec::to_text(profiles_.job.precision)},
                       {"optimizer", profiles_.job.optimizer->name}};
    if (profiles_.job.attended_length > 0) out["attended_length"] = profiles_.job.attended_length;
    if (!calibration_.empty()) out["calibration"] = calibration_;
    return out.dump();
  }

  std::string hardware() const {
    return kept(profiles_.have_hardware(environment_), profiles_.hardware_file(), "hardware");
  }
  std::string profile() const {
    return kept(profiles_.have_model(), profiles_.model_file(), "model");
  }

  // What rank 0 says, to every rank.
  Text shared(const Text& text) const {
    if (environment_.world_size > 1 && !environment_.store_is_hosted) {
      throw ConfigError(
          "[train] plan \"auto\" needs a launcher by which the ranks can agree, as "
          "torchrun is one; under ",
          environment_.launcher,
          ", search before, by galvatron.search(), and give every rank the plan");
    }
    return comm::share_text(environment_, "plan", text, profiler::kPatience);
  }

 private:
  static std::string kept(int code, const std::string& file, const char* what) {
    if (code == 0) return file;
    throw RuntimeFailure("`galvatron profile-", what, "` ended with exit code ", code,
                         "; what it said is on standard error");
  }

  comm::LaunchEnvironment environment_;
  profiler::KeptProfiles profiles_;
  std::string calibration_;
  spec::ModelSpec model_;
};

}  // namespace

void bind_auto_plans(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<AutoPlan>(module, "AutoPlan")
      .def(py::init<const Text&, const Text&, const std::optional<py::function>&,
                    const std::string&, const std::string&>(),
           py::arg("options"), py::arg("profile_options"), py::arg("make_samples"),
           py::arg("binary"), py::arg("library_path"))
      .def_property_readonly("model", &AutoPlan::model, py::return_value_policy::copy)
      .def_property_readonly("is_first", &AutoPlan::is_first)
      .def("question", &AutoPlan::question)
      .def("hardware", &AutoPlan::hardware, no_gil)
      .def("profile", &AutoPlan::profile, no_gil)
      .def("shared", &AutoPlan::shared, py::arg("text"), no_gil);
  module.def("auto_plan_options", [] {
    ProfileRequest request;
    return describe_in_python_words(request.options());
  });
}

}  // namespace galvatron::binding
