#include "galvatron/server/search_answers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/server/questions.h"
#include "galvatron/views/search_view.h"

namespace galvatron::server {
namespace {

// The rest of the request is read before.
Asked read_question(JsonReader& request) {
  Asked out(request.get("question"));
  request.finish();
  return out;
}

Asked read_question(const Json& request) {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  return read_question(reader);
}

void shorten(std::optional<double>& time_limit, double seconds) {
  time_limit = std::min(time_limit.value_or(seconds), seconds);
}

OrderedJson result_line(OrderedJson view) { return {{"result", std::move(view)}}; }

// For searches within a longer answer.
search::WatchProgress abandon_with(Lines& lines) {
  return [&lines](const search::SearchProgress&) {
    if (!lines.goes_on()) throw Abandoned();
    return true;
  };
}

void tell(Lines& lines, std::int64_t done, std::int64_t total) {
  if (!lines.progress(views::results_progress_view(done, total))) throw Abandoned();
}

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

void search(planning::PreparedSearch prepared, bool explain, Lines& lines) {
  lines.progress(views::search_progress_view({}));
  // Of the searches that explain the first one.
  prepared.options.progress = [&](const search::SearchProgress&) { return lines.goes_on(); };
  const auto watch = [&](const search::SearchProgress& progress) {
    return lines.progress(views::search_progress_view(progress));
  };
  const auto answer = views::answer_search(std::move(prepared), explain, watch);
  lines.end(result_line(views::search_view(answer)));
}

void find_frontier(planning::PreparedSearch prepared, const planning::FrontierRequest& request,
                   Lines& lines) {
  tell(lines, 0, request.num_budgets);
  prepared.options.progress = abandon_with(lines);
  const planning::Frontier found = planning::find_frontier(
      prepared, request, [&](int done) { tell(lines, done, request.num_budgets); });
  if (found.steps.empty()) throw ConfigError(frontier_notes(found));
  const planning::Question& question = prepared.question;
  const planning::Chart chart = frontier_chart(found, question);
  const planning::Results results = {frontier_table(found, question), frontier_notes(found),
                                     frontier_to_json(found, question), chart};
  lines.end(result_line(views::results_view(results, chart.title)));
}

void run_sweep(planning::SweepRequest request, Lines& lines) {
  tell(lines, 0, num_questions(request));
  request.watch = abandon_with(lines);
  const auto rows = planning::run_sweep(request, [&](std::size_t done, std::size_t total) {
    tell(lines, static_cast<std::int64_t>(done), static_cast<std::int64_t>(total));
  });
  const planning::Results results = {sweep_table(rows), sweep_notes(rows), sweep_to_json(rows),
                                     sweep_chart(rows)};
  lines.end(result_line(views::results_view(results, planning::sweep_title(rows))));
}

}  // namespace

SearchWork search_answer(const Json& request, double seconds) {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  const bool explain = reader.get_bool_or("explain", true);
  planning::PreparedSearch prepared = read_question(reader).search();
  shorten(prepared.options.time_limit, seconds);
  return
      [prepared = std::move(prepared), explain](Lines& lines) { search(prepared, explain, lines); };
}

SearchWork frontier_answer(const Json& request, double) {
  const Asked asked = read_question(request);
  planning::PreparedSearch prepared = asked.search();
  if (prepared.options.time_limit) {
    throw ConfigError("[search] --time-limit is of one search; of a frontier give --budgets");
  }
  return [prepared = std::move(prepared), wanted = asked.frontier()](Lines& lines) {
    find_frontier(prepared, wanted, lines);
  };
}

SearchWork sweep_answer(const Json& request, double seconds) {
  planning::SweepRequest wanted = read_question(request).sweep();
  shorten(wanted.search.time_limit, seconds);
  return [wanted = std::move(wanted)](Lines& lines) { run_sweep(wanted, lines); };
}

}  // namespace galvatron::server
