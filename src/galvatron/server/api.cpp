#include "galvatron/server/api.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/planning/plan_question.h"
#include "galvatron/server/failure.h"
#include "galvatron/server/lines.h"
#include "galvatron/server/opened.h"
#include "galvatron/server/page.h"
#include "galvatron/server/page_assets.h"
#include "galvatron/server/questions.h"
#include "galvatron/server/start.h"
#include "galvatron/views/comparison_view.h"
#include "galvatron/views/plan_view.h"
#include "galvatron/views/search_view.h"

namespace galvatron::server {
namespace {

constexpr std::string_view kApi = "/api/";

bool is_get(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

bool is_json(const HttpRequest& request) {
  const std::string* type = request.header("Content-Type");
  return type != nullptr && lower_case(type->substr(0, type->find(';'))) == "application/json";
}

HttpAnswer wrong_method(const std::string& path, const std::string& method) {
  HttpAnswer out = failure_answer(405, fmt::format("{} is asked by {}", path, method));
  out.headers.push_back({"Allow", method == "GET" ? "GET, HEAD" : method});
  return out;
}

// The plan of a question, and what is asked about it.
struct AskedPlan {
  views::PlanQuestion question;
  views::NamedPlan plan;
};
AskedPlan read_plan_question(const Json& request) {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  const Asked asked(reader.get("question"));
  AskedPlan out{asked.plans(), {}};
  out.plan = asked.plan(reader.get("plan"), out.question);
  reader.finish();
  return out;
}

Asked read_search_question(const Json& request) {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  Asked out(reader.get("question"));
  reader.finish();
  return out;
}

OrderedJson result_line(OrderedJson view) { return {{"result", std::move(view)}}; }

// Combinations of all lists but that of budgets, which share a search.
std::int64_t num_questions(const planning::SweepRequest& request) {
  std::size_t out = 1;
  for (const std::size_t length :
       {request.models.size(), request.clusters.size(), request.world_sizes.size(),
        request.seq_lengths.size(), request.global_batches.size()}) {
    out *= std::max<std::size_t>(length, 1);
  }
  return static_cast<std::int64_t>(out);
}

void require_wanted(Lines& lines) {
  if (!lines.goes_on()) throw Abandoned();
}

}  // namespace

struct Api::Endpoint {
  const char* method;
  std::string path;
  HttpAnswer (Api::*answer)(const Json& request) const;
};

const std::vector<Api::Endpoint>& Api::endpoints() {
  static const std::vector<Endpoint> kEndpoints = {
      {"GET", "/api/start", &Api::start},         {"POST", "/api/identify", &Api::identify},
      {"POST", "/api/plan", &Api::plan},          {"POST", "/api/compare", &Api::compare},
      {"POST", "/api/export", &Api::export_plan}, {"POST", "/api/search", &Api::search},
      {"POST", "/api/frontier", &Api::frontier},  {"POST", "/api/sweep", &Api::sweep},
  };
  return kEndpoints;
}

const Api::Endpoint* Api::find(const HttpRequest& request) {
  const auto& all = endpoints();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Endpoint& one) { return one.path == request.path; });
  return found == all.end() ? nullptr : &*found;
}

std::string Api::unknown_path(const std::string& path) {
  std::vector<std::string> known = {"/"};
  for (const Endpoint& one : endpoints()) known.push_back(one.path);
  for (const PageAsset& asset : page_assets()) known.emplace_back(asset.path);
  constexpr std::size_t kShown = 100;
  const std::string shown = path.substr(0, kShown);
  return fmt::format("there is no {}{}", shown, did_you_mean(shown, known));
}

Api::Api(std::vector<std::filesystem::path> files, ApiLimits limits, const std::string& version)
    : files_(std::move(files)), limits_(limits) {
  OrderedJson out = {{"version", version}};
  out.update(known_names());
  out["opened"] = OrderedJson::array();
  for (const auto& path : files_) {
    const std::string name = std::filesystem::absolute(path).lexically_normal().filename().string();
    OrderedJson opened = server::identify(name, read_texts(path, limits.request));
    opened["id"] = out["opened"].size();
    opened["watch"] = opened["kind"] == "run";
    out["opened"].push_back(std::move(opened));
  }
  out["limits"] = {{"request_bytes", limits.request.value}, {"seconds", limits.seconds}};
  start_ = out.dump();
}

std::optional<HttpAnswer> Api::refusal(const HttpRequest& head) const {
  const Endpoint* endpoint = find(head);
  if (endpoint == nullptr && !head.path.starts_with(kApi)) {
    if (!is_get(head)) return wrong_method(head.path.substr(0, 100), "GET");
    return std::nullopt;
  }
  if (endpoint == nullptr) return failure_answer(404, unknown_path(head.path));
  const std::string wanted = endpoint->method;
  if (wanted == "GET" && !is_get(head)) return wrong_method(endpoint->path, wanted);
  if (wanted == "POST" && head.method != wanted) return wrong_method(endpoint->path, wanted);
  if (wanted == "GET" || is_json(head)) return std::nullopt;
  return failure_answer(415, endpoint->path + " takes JSON: Content-Type: application/json");
}

HttpAnswer Api::answer(const HttpRequest& request) const {
  const Endpoint* endpoint = find(request);
  try {
    if (endpoint == nullptr) {
      auto page = page_answer(request);
      return page ? *page : failure_answer(404, unknown_path(request.path));
    }
    const bool asks = std::string_view(endpoint->method) == "POST";
    const Json body = asks ? parse_json(request.body, "the request") : Json();
    return (this->*endpoint->answer)(body);
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    return failure_answer(failure.status, failure.sentence);
  }
}

HttpAnswer Api::start(const Json&) const {
  HttpAnswer out = json_answer(nullptr);
  out.body = start_;
  return out;
}

HttpAnswer Api::identify(const Json& request) const {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  const std::string name = reader.get_string_or("name", "the folder");
  FileTexts files;
  if (reader.has("files")) {
    JsonReader texts = reader.get_object("files");
    for (const std::string& file : texts.keys()) files[file] = texts.get_string(file);
  } else {
    files[name] = reader.get_string("text");
  }
  for (const char* known : {"name", "files", "text"}) reader.ignore(known);
  reader.finish();
  return json_answer(server::identify(name, files));
}

HttpAnswer Api::plan(const Json& request) const {
  AskedPlan asked = read_plan_question(request);
  const auto answer = views::answer_plan(asked.question, std::move(asked.plan));
  return json_answer(views::plan_view(answer, asked.question.model));
}

HttpAnswer Api::compare(const Json& request) const {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  const Asked asked(reader.get("question"));
  const views::PlanQuestion question = asked.plans();
  views::NamedPlan one = asked.plan(reader.get("one"), question);
  views::NamedPlan other = asked.plan(reader.get("other"), question);
  reader.finish();
  const auto plans = views::answer_both(question, std::move(one), std::move(other));
  return json_answer(views::comparison_view(plans, question.model));
}

HttpAnswer Api::export_plan(const Json& request) const {
  AskedPlan asked = read_plan_question(request);
  const auto answer = views::answer_plan(asked.question, std::move(asked.plan));
  if (answer.problem) throw ConfigError(answer.problem->sentence);
  return json_answer(plan::plan_to_json(planning::with_prediction(*answer.priced)));
}

std::shared_ptr<const void> Api::take_place() const {
  if (searching_.fetch_add(1) < limits_.searches) {
    return {this, [](const void* self) { --static_cast<const Api*>(self)->searching_; }};
  }
  --searching_;
  return nullptr;
}

template <typename Work>
HttpAnswer Api::searched(Work work) const {
  std::shared_ptr<const void> place = take_place();
  if (!place) {
    return failure_answer(429, count_text(limits_.searches, "search") +
                                   " at a time are all that this machine has cores for: wait for "
                                   "one to end, or cancel it");
  }
  return line_answer(limits_.seconds, [place = std::move(place), work = std::move(work)](
                                          Lines& lines) mutable { work(lines); });
}

HttpAnswer Api::search(const Json& request) const {
  planning::PreparedSearch prepared = read_search_question(request).search();
  auto& limit = prepared.options.time_limit;
  limit = std::min(limit.value_or(limits_.seconds), limits_.seconds);
  return searched([prepared = std::move(prepared)](Lines& lines) mutable {
    lines.progress(views::search_progress_view({}));
    prepared.options.progress = [&](const search::SearchProgress&) { return lines.goes_on(); };
    const auto answer =
        views::answer_search(prepared, true, [&](const search::SearchProgress& progress) {
          return lines.progress(views::search_progress_view(progress));
        });
    lines.end(result_line(views::search_view(answer)));
  });
}

HttpAnswer Api::frontier(const Json& request) const {
  const Asked asked = read_search_question(request);
  planning::PreparedSearch prepared = asked.search();
  const planning::FrontierRequest wanted = asked.frontier();
  if (prepared.options.time_limit) throw ConfigError("[search] --time-limit is of one search");
  return searched([prepared = std::move(prepared), wanted](Lines& lines) mutable {
    lines.progress(views::results_progress_view(0, wanted.num_budgets));
    prepared.options.progress = [&](const search::SearchProgress&) -> bool {
      return require_wanted(lines), true;
    };
    const auto watch = [&](int done) {
      if (!lines.progress(views::results_progress_view(done, wanted.num_budgets)))
        throw Abandoned();
    };
    const planning::Frontier found = planning::find_frontier(prepared, wanted, watch);
    if (found.steps.empty()) throw ConfigError(frontier_notes(found));
    const planning::Question& question = prepared.question;
    const planning::Chart chart = frontier_chart(found, question);
    lines.end(
        result_line(views::results_view({frontier_table(found, question), frontier_notes(found),
                                         frontier_to_json(found, question), chart},
                                        chart.title)));
  });
}

HttpAnswer Api::sweep(const Json& request) const {
  planning::SweepRequest wanted = read_search_question(request).sweep();
  auto& limit = wanted.search.time_limit;
  limit = std::min(limit.value_or(limits_.seconds), limits_.seconds);
  return searched([wanted = std::move(wanted)](Lines& lines) mutable {
    lines.progress(views::results_progress_view(0, num_questions(wanted)));
    wanted.watch = [&](const search::SearchProgress&) -> bool {
      return require_wanted(lines), true;
    };
    const std::vector<planning::SweepRow> rows =
        planning::run_sweep(wanted, [&](std::size_t done, std::size_t total) {
          const auto line = views::results_progress_view(static_cast<std::int64_t>(done),
                                                         static_cast<std::int64_t>(total));
          if (!lines.progress(line)) throw Abandoned();
        });
    lines.end(result_line(views::results_view(
        {sweep_table(rows), sweep_notes(rows), sweep_to_json(rows), sweep_chart(rows)},
        planning::sweep_title(rows))));
  });
}

}  // namespace galvatron::server
