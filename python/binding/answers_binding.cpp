// Questions and answers of planning: search, frontier, sweep, simulate.
#include <pybind11/stl.h>

#include "galvatron/base/error.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/planning/plan_question.h"
#include "galvatron/planning/result_files.h"
#include "galvatron/planning/sweep.h"
#include "galvatron/search/report.h"
#include "galvatron/views/search_answer.h"

#include "bindings.h"
#include "python_words.h"
#include "shared_object.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

// Ctrl-C reaches Python only when it is asked. Throws KeyboardInterrupt. Takes the GIL.
void check_signals() {
  const py::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

struct MachineTexts {
  std::optional<Text> hardware, profile;
  std::optional<std::string> cluster;

  planning::MachineKnowledge knowledge(const std::string& calibration) const {
    planning::MachineKnowledge out;
    if (hardware) out.hardware = to_hardware(*hardware);
    if (profile) out.profile = to_profile(*profile);
    if (cluster) out.cluster = profiles::load_cluster(*cluster);
    if (!calibration.empty()) out.calibration = planning::read_calibration(calibration);
    return out;
  }
};

spec::ModelSpec adapted(const spec::ModelSpec& model, const spec::ModelOverrides& overrides) {
  return spec::model_from_config(model.config, model.name, overrides);
}

OrderedJson miss_to_json(const search::ClosestMiss& miss, Bytes budget) {
  return {{"sentence", search::to_text(miss, budget)},
          {"needed_bytes", miss.needed.value},
          {"memory_bytes", budget.value},
          {"pp_degree", miss.pp_degree},
          {"num_microbatches", miss.num_microbatches},
          {"global_batch", miss.global_batch}};
}

OrderedJson results_to_json(const planning::Results& results) {
  return {{"title", results.chart ? results.chart->title : ""},
          {"rows", results.table.to_json()},
          {"notes", results.notes},
          {"text", results.table.to_text()},
          {"csv", results.table.to_csv()},
          {"svg", results.chart ? chart_svg(*results.chart) : ""},
          {"html", results_fragment(results)}};
}

// What search() and simulate() take beside model, plan and machine.
template <typename Request, OptionList (*options_of)(Request&)>
struct Arguments {
  Request request;
  spec::ModelOverrides overrides;
  std::string calibration;  // file

  OptionList options() {
    OptionList list = spec::model_override_options(overrides);
    list.append(planning::calibration_options(calibration));
    list.append(options_of(request));
    return list;
  }
};
using SearchArguments = Arguments<planning::SearchRequest, &planning::search_options>;
using SimulateArguments =
    Arguments<planning::PlanQuestionRequest, &planning::plan_question_options>;

// A search with its question: what it found, and what can be asked about it.
class AnsweredSearch {
 public:
  AnsweredSearch(const spec::ModelSpec& model, const Text& options,
                 const std::optional<Text>& hardware, const std::optional<Text>& profile,
                 const std::optional<std::string>& cluster,
                 const std::optional<py::function>& on_progress) {
    planning::PreparedSearch prepared = prepare(model, options, {hardware, profile, cluster});
    prepared.options.progress = [](const search::SearchProgress&) {
      check_signals();
      return true;
    };
    const SharedObject hear = on_progress ? share(*on_progress) : nullptr;
    const py::gil_scoped_release release;
    answer_ = views::answer_search(std::move(prepared), false, hear ? watch_by(hear) : nullptr);
    const search::SearchResult& result = answer_.result;
    if (!result.best && !result.closest_miss) {
      throw ConfigError("[search] ", no_plan_text(result, answer_.memory()));
    }
  }

  Text to_json() const {
    const search::SearchResult& result = answer_.result;
    OrderedJson out;
    if (!result.best) {
      out["miss"] = miss_to_json(*result.closest_miss, answer_.memory());
      return out.dump();
    }
    const plan::Plan best = answer_.best_plan();
    out["question"] = best.search["question"];
    out["text"] = text();
    out["best"] = found_to_json(*result.best, best);
    out["runners_up"] = OrderedJson::array();
    for (const search::FoundPlan& other : result.runners_up) {
      out["runners_up"].push_back(found_to_json(other, other.plan));
    }
    return out.dump();
  }

  std::string explain() const {
    const auto explanation = planning::explain(answer_.prepared, answer_.result);
    return text() + in_python_words(to_text(explanation, answer_.result, answer_.memory()));
  }

  Text frontier(const Text& options) const {
    planning::FrontierRequest request;
    planning::frontier_options(request).read(from_text(options, "frontier"), "frontier");
    const planning::Question& question = answer_.prepared.question;
    const planning::Frontier found =
        planning::find_frontier(answer_.prepared, request, [](int) { check_signals(); });
    GALV_CHECK(!found.steps.empty(), "a plan fits, but in no budget");
    OrderedJson out = results_to_json({frontier_table(found, question),
                                       in_python_words(frontier_notes(found)),
                                       {},
                                       frontier_chart(found, question)});
    out["details"] = frontier_to_json(found, question);
    return out.dump();
  }

 private:
  static planning::PreparedSearch prepare(const spec::ModelSpec& model, const Text& options,
                                          const MachineTexts& machine) {
    SearchArguments arguments;
    arguments.options().read(from_text(options, "search"), "search");
    return planning::prepare_search(arguments.request, adapted(model, arguments.overrides),
                                    machine.knowledge(arguments.calibration));
  }

  static search::WatchProgress watch_by(SharedObject hear) {
    return [hear = std::move(hear)](const search::SearchProgress& progress) {
      check_signals();
      const OrderedJson line = {{"candidates", progress.candidates},
                                {"decided", progress.decided},
                                {"best_ms_per_sample", progress.best},  // none yet: null
                                {"lower_bound_ms_per_sample", progress.bound},
                                {"seconds", progress.seconds}};
      const py::gil_scoped_acquire acquire;
      const py::object answer = (*hear)(line.dump());
      return !answer.is(py::bool_(false));
    };
  }

  OrderedJson found_to_json(const search::FoundPlan& found, const plan::Plan& plan) const {
    const planning::Question& question = answer_.prepared.question;
    const auto throughput = planning::throughput(question, found.plan, found.cost);
    return {{"plan", plan::plan_to_json(plan)},
            {"cost", cost::plan_cost_to_json(found.cost)},
            {"throughput", throughput_to_json(throughput, question)}};
  }

  // As the command line prints it.
  std::string text() const { return answer_.question_text() + "\n" + answer_.text(); }

  views::SearchAnswer answer_;
};

Text simulate(const spec::ModelSpec& model, const Text& plan_text, const Text& options,
              const std::optional<Text>& hardware, const std::optional<Text>& profile,
              const std::optional<std::string>& cluster) {
  SimulateArguments arguments;
  arguments.options().read(from_text(options, "simulate"), "simulate");
  const MachineTexts machine = {hardware, profile, cluster};
  const planning::PricedPlan priced = planning::price_plan(
      arguments.request, to_plan(plan_text), adapted(model, arguments.overrides),
      machine.knowledge(arguments.calibration), "the plan");
  const auto throughput = planning::throughput(priced.question, priced.plan, priced.cost);
  return OrderedJson{{"cost", cost::plan_cost_to_json(priced.cost)},
                     {"question", question_to_json(priced.question, priced.plan.global_batch)},
                     {"throughput", throughput_to_json(throughput, priced.question)},
                     {"timeline", cost::to_chrome_trace(priced.cost.timeline, priced.plan.model)},
                     {"table", planning::priced_plan_table(priced)}}
      .dump();
}

struct SweepArguments {
  planning::SweepRequest request;

  OptionList options() { return planning::sweep_options(request); }
};

Text sweep(const Text& options) {
  SweepArguments arguments;
  arguments.options().read(from_text(options, "sweep"), "sweep");
  const std::vector<planning::SweepRow> rows =
      planning::run_sweep(arguments.request, [](std::size_t, std::size_t) { check_signals(); });
  OrderedJson out = results_to_json({sweep_table(rows), sweep_notes(rows), {}, sweep_chart(rows)});
  out["title"] = planning::sweep_title(rows);
  return out.dump();
}

template <typename Arguments>
Text described() {
  Arguments arguments;
  return describe_in_python_words(arguments.options());
}

}  // namespace

void bind_answers(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  module.def("search_options", &described<SearchArguments>);
  py::class_<AnsweredSearch>(module, "AnsweredSearch")
      .def(py::init<const spec::ModelSpec&, const Text&, const std::optional<Text>&,
                    const std::optional<Text>&, const std::optional<std::string>&,
                    const std::optional<py::function>&>(),
           py::arg("model"), py::arg("options"), py::arg("hardware"), py::arg("profile"),
           py::arg("cluster"), py::arg("on_progress"))
      .def("to_json", &AnsweredSearch::to_json, no_gil)
      .def("explain", &AnsweredSearch::explain, no_gil)
      .def("frontier", &AnsweredSearch::frontier, py::arg("options"), no_gil);
  module.def("simulate_options", &described<SimulateArguments>);
  module.def("simulate", &simulate, py::arg("model"), py::arg("plan"), py::arg("options"),
             py::arg("hardware"), py::arg("profile"), py::arg("cluster"), no_gil);
  module.def("sweep_options", &described<SweepArguments>);
  module.def("sweep", &sweep, py::arg("options"), no_gil);
}

}  // namespace galvatron::binding
