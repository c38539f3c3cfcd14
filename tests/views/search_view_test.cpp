#include "galvatron/views/search_view.h"

#include <gtest/gtest.h>

#include "galvatron/planning/frontier.h"
#include "galvatron/search/report.h"

namespace galvatron::views {
namespace {

planning::SearchRequest request_of(Bytes memory) {
  planning::SearchRequest request;
  request.question.memory = memory;
  request.global_batch = "16";
  return request;
}

planning::PreparedSearch prepared(const planning::SearchRequest& request) {
  planning::MachineKnowledge machine;
  machine.cluster = profiles::load_cluster("8xA100");
  return prepare_search(request, spec::load_model("gpt2"), std::move(machine));
}

SearchAnswer answer_of(Bytes memory, bool explain = false) {
  return answer_search(prepared(request_of(memory)), explain);
}

TEST(SearchView, HasWhatTheCommandLinePrints) {
  const SearchAnswer answer = answer_of(gibibytes(40), true);
  const OrderedJson view = search_view(answer);
  const search::FoundPlan& best = *answer.result.best;
  EXPECT_EQ(view["best"]["text"], to_text(best, gibibytes(40)));
  const std::string text = view["text"];
  for (const std::string& part :
       {to_text(best, gibibytes(40)), to_text(answer.baselines, best),
        to_text(*answer.explanation, answer.result, gibibytes(40)), answer.question_text()}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(view["certificate"]["text"], to_text(answer.result.certificate));
  EXPECT_EQ(view["baselines"].size(), answer.baselines.size());
  EXPECT_EQ(view["gain"], view["best"]["plan"]["search"]["baselines"]["gain"]);
  EXPECT_TRUE(view["miss"].is_null());
}

TEST(SearchView, RunnersUpSayWhatTheyLose) {
  const SearchAnswer answer = answer_of(gibibytes(40), true);
  const OrderedJson view = search_view(answer);
  ASSERT_FALSE(view["runners_up"].empty());
  const OrderedJson& first = view["runners_up"][0];
  EXPECT_EQ(first["loss"]["more_ms"], answer.explanation->losses[0].more.value);
  const std::string text = view["text"];
  EXPECT_NE(text.find(first["loss"]["text"].get<std::string>()), std::string::npos);
  // Without an explanation they do all the same.
  EXPECT_EQ(search_view(answer_of(gibibytes(40)))["runners_up"], view["runners_up"]);
}

TEST(SearchView, ShadowPricesAreRowsOfTheExplanation) {
  const OrderedJson view = search_view(answer_of(gibibytes(40), true));
  ASSERT_FALSE(view["shadow_prices"].empty());
  EXPECT_EQ(view["shadow_prices"][0]["with"], "1 GiB more memory");
  EXPECT_EQ(view["explanation"]["binds"].is_string(), true);
  EXPECT_TRUE(search_view(answer_of(gibibytes(40)))["explanation"].is_null());
}

TEST(SearchView, PlansOfAllRowsCanBeReadAndAreOfTheSameTraining) {
  const OrderedJson view = search_view(answer_of(gibibytes(40)));
  std::vector<OrderedJson> rows = {view["best"]};
  for (const char* key : {"runners_up", "baselines"}) {
    for (const OrderedJson& row : view[key]) rows.push_back(row);
  }
  for (const OrderedJson& row : rows) {
    const plan::Plan plan = plan::plan_from_json(Json::parse(row["plan"].dump()), "a row");
    EXPECT_EQ(plan.world_size, 8);
    EXPECT_EQ(plan.search["question"]["seq_length"], 1024);
  }
}

TEST(SearchView, TheClosestMissNamesTheMemoryWithWhichItFits) {
  const SearchAnswer answer = answer_of(mebibytes(600));
  ASSERT_FALSE(answer.result.best);
  const OrderedJson view = search_view(answer);
  EXPECT_TRUE(view["best"].is_null());
  EXPECT_EQ(view["miss"]["needed_bytes"], answer.result.closest_miss->needed.value);
  const std::string option = view["miss"]["memory_option"];
  EXPECT_TRUE(option.ends_with("iB")) << option;
  EXPECT_GE(parse_bytes(option, "memory"), answer.result.closest_miss->needed);
  EXPECT_TRUE(answer_of(parse_bytes(option, "memory")).result.best);
}

TEST(SearchView, WhereNothingFitsTheLeanestPlanAndThoseByHandSayWhatTheyLack) {
  const SearchAnswer answer = answer_of(mebibytes(600));
  ASSERT_TRUE(answer.leanest);
  EXPECT_EQ(answer.leanest->cost.peak_memory(), answer.result.closest_miss->needed);
  const OrderedJson view = search_view(answer);
  EXPECT_EQ(plan::plan_from_json(Json::parse(view["miss"]["plan"].dump()), "it").world_size, 8);
  ASSERT_EQ(view["baselines"].size(), answer.baselines.size());
  ASSERT_FALSE(answer.baselines.empty());
  for (const OrderedJson& row : view["baselines"]) EXPECT_FALSE(row["missing"].is_null());
  for (const std::string& part :
       {no_plan_text(answer.result, answer.memory()), to_text(*answer.leanest, answer.memory()),
        to_text(answer.baselines)}) {
    EXPECT_NE(view["text"].get<std::string>().find(part), std::string::npos) << part;
  }
}

TEST(SearchView, TheMemoryToAskForCountsTheMarginThatWasAskedFor) {
  planning::SearchRequest request = request_of(mebibytes(600));
  request.question.memory_margin = planning::MemoryMargin{0.1, {}};
  const SearchAnswer answer = answer_search(prepared(request), false);
  ASSERT_FALSE(answer.result.best);
  const std::string option = search_view(answer)["miss"]["memory_option"];
  request.question.memory = parse_bytes(option, "memory");
  EXPECT_TRUE(prepared(request).run().best);
  // No more than a step of its figures above what is needed.
  request.question.memory = *request.question.memory - mebibytes(12);
  EXPECT_FALSE(prepared(request).run().best);
}

TEST(SearchView, ProgressHasNoBestBeforeThereIsOne) {
  search::SearchProgress progress{7, 2, std::numeric_limits<double>::infinity(), 3.5, 0.25};
  EXPECT_TRUE(search_progress_view(progress)["progress"]["best_ms"].is_null());
  progress.best = 4;
  const OrderedJson view = search_progress_view(progress)["progress"];
  EXPECT_EQ(view["best_ms"], 4);
  EXPECT_EQ(view["text"], to_text(progress));
}

TEST(ResultsView, ShowsTheColumnsThatPeopleReadAndHoldsAllOthers) {
  const planning::PreparedSearch search = prepared(request_of(gibibytes(4)));
  const planning::Frontier found = find_frontier(search, {4});
  const planning::Question& question = search.question;
  const planning::Results results{frontier_table(found, question),
                                  frontier_notes(found),
                                  frontier_to_json(found, question),
                                  {}};
  const OrderedJson view = results_view(results, "a frontier");
  EXPECT_EQ(view["title"], "a frontier");
  EXPECT_EQ(view["csv"], results.table.to_csv());
  EXPECT_EQ(view["json"], results.json);
  ASSERT_FALSE(view["rows"].empty());
  for (const OrderedJson& row : view["rows"]) EXPECT_EQ(row.size(), view["columns"].size());
  for (const OrderedJson& column : view["columns"]) EXPECT_NE(column["title"], "");
  EXPECT_EQ(view["text"], results.table.to_text() + results.notes);
}

}  // namespace
}  // namespace galvatron::views
