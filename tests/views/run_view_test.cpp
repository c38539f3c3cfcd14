#include "galvatron/views/run_view.h"

#include <gtest/gtest.h>

#include "galvatron/plan/recorded_question.h"
#include "galvatron/views/report_page.h"

#include "views/run_testing.h"
#include "views/views_testing.h"

namespace galvatron::views {
namespace {

OrderedJson run_seen(const RunTexts& texts) { return run_view(read_run(texts)); }

std::string fact(const OrderedJson& view, const std::string& name) {
  for (const OrderedJson& one : view["facts"]) {
    if (one["name"] == name) return one["text"];
  }
  return "";
}

bool notes_say(const OrderedJson& view, const std::string& sentence) {
  const auto notes = view["notes"].get<std::vector<std::string>>();
  return std::find(notes.begin(), notes.end(), sentence) != notes.end();
}

TEST(RunView, HasTheRunsNumbers) {
  const OrderedJson view = run_seen(run_of_four_steps());
  EXPECT_EQ(view["title"], "gpt-<tiny>: first");
  EXPECT_EQ(view["state"], "finished");
  EXPECT_EQ(view["state_text"], "finished after 4 steps");
  EXPECT_EQ(view["metrics"]["step"], (OrderedJson{1, 2, 3, 4}));
  EXPECT_EQ(view["metrics"]["loss"], (OrderedJson{8.0, 4.0, 8.0 / 3, 2.0}));
  EXPECT_FALSE(view["metrics"].contains("mfu"));
  EXPECT_EQ(fact(view, "ranks"), "2 ranks on cpu");
  EXPECT_EQ(fact(view, "loss"), "2, from 8");
  EXPECT_EQ(fact(view, "batch"), "32 in 4 microbatches");
  EXPECT_EQ(fact(view, "pipeline"), "2 stages (1f1b) of 4 ranks each");
  EXPECT_EQ(view["measured"]["step"]["text"], "500 ms");
  EXPECT_EQ(view["predicted"]["step"]["text"], "400 ms");
  EXPECT_EQ(view["memory"]["budget"]["text"], "400 MiB");
  EXPECT_EQ(view["memory"]["ranks"][1]["measured"]["value"], 300);
  EXPECT_TRUE(view["memory"]["ranks"][0]["predicted"].is_null());
  EXPECT_EQ(view["options"]["data"], "a & b");
  EXPECT_EQ(view["search"]["gap"], 0);
}

TEST(RunView, ShowsTheValidationLoss) {
  RunTexts texts = run_of_four_steps();
  OrderedJson last = step_line(5);
  last["valid_loss"] = 2.5;
  texts.files[kRunMetrics] += last.dump() + "\n";
  const OrderedJson view = run_seen(texts);
  EXPECT_EQ(view["evaluations"].dump(), R"({"step":[5],"validation_loss":[2.5]})");
  EXPECT_EQ(fact(view, "validation loss"), "2.5");
  EXPECT_FALSE(view["metrics"].contains("valid_loss"));
}

TEST(RunView, ShowsWhatEvaluationsSayBesideTheLoss) {
  RunTexts texts = run_of_four_steps();
  OrderedJson last = step_line(5);
  last["images_per_second"] = 640;
  last["valid_loss"] = 2.5;
  last["valid_accuracy"] = 0.75;
  texts.files[kRunMetrics] += last.dump() + "\n";
  const OrderedJson view = run_seen(texts);
  EXPECT_EQ(view["evaluations"].dump(),
            R"({"step":[5],"validation_loss":[2.5],"validation_accuracy":[0.75]})");
  EXPECT_EQ(fact(view, "validation accuracy"), "0.75");
  EXPECT_EQ(view["metrics"]["images_per_second"].back(), 640);
  EXPECT_FALSE(view["metrics"].contains("valid_accuracy"));
}

TEST(RunView, OfSeveralTracedStepsTheLastIsDrawn) {
  const auto timeline_of = [](const std::string& events) {
    RunTexts texts = run_of_four_steps();
    texts.files["trace.json"] = R"({"traceEvents": [)" + events + "]}";
    return run_seen(texts)["timeline"].dump();
  };
  const std::string
      third = R"({"ph": "X", "cat": "forward", "ts": 0, "dur": 9, "tid": 0, "args": {"step": 3}})",
      fourth =
          R"({"ph": "X", "cat": "backward", "ts": 9, "dur": 5, "tid": 0, "args": {"step": 4}})";
  EXPECT_EQ(timeline_of(third + "," + fourth), timeline_of(fourth));
  EXPECT_NE(timeline_of(third), timeline_of(fourth));
}

TEST(RunView, NamesTheKindsOfLayersAlsoOfAModelThatIsNoPreset) {
  const OrderedJson layers = run_seen(run_of_four_steps())["plan"]["layers"];
  ASSERT_EQ(layers.size(), 14u);
  EXPECT_EQ(layers[0]["kind"], "embedding");
  EXPECT_EQ(layers[7]["kind"], "block");
  EXPECT_EQ(layers[13]["kind"], "head");
  EXPECT_EQ(layers[5]["stage"], 1);
  EXPECT_EQ(layers[5]["strategy"]["recompute"], "full");
  EXPECT_EQ(layers[5]["dp_degree"], 2);
}

TEST(RunView, ARunThatDidNotEndHasItsTitleAndOptions) {
  RunTexts texts = run_of_four_steps();
  texts.files.erase("summary.json");
  texts.files.erase("plan.json");
  texts.files["run.json"] = R"({"format": "galvatron-run", "model": "gpt2-tiny", "world_size": 8,
                                "options": {"data": "my corpus"}})";
  const OrderedJson view = run_seen(texts);
  EXPECT_EQ(view["title"], "gpt2-tiny: first");
  EXPECT_EQ(view["state"], "unknown");
  EXPECT_EQ(view["state_text"], "no end was recorded: last step 4");
  EXPECT_EQ(view["options"]["data"], "my corpus");
  EXPECT_EQ(fact(view, "ranks"), "8 ranks");
  EXPECT_EQ(view["measured"]["step"]["value"], 500);
}

TEST(RunView, TheStateFollowsFromTheSummaryAndTheTimeSinceTheLastStep) {
  RunTexts texts = run_of_four_steps();
  texts.files["summary.json"] = R"({"stopped_after": 4})";
  EXPECT_EQ(run_seen(texts)["state_text"], "stopped after step 4");
  texts.files.erase("summary.json");
  texts.seconds_since_step = 3;
  EXPECT_EQ(run_seen(texts)["state"], "running");
  texts.seconds_since_step = 1000;
  EXPECT_EQ(run_seen(texts)["state"], "stopped");
}

TEST(RunView, MissingFilesAreSaid) {
  for (const auto& [file, sentence] :
       {std::pair{"plan.json", "This run has no plan.json, so its plan is not shown."},
        {"summary.json",
         "This run has no summary.json, so prediction and measurement are not compared."},
        {"trace.json", "This run has no trace.json, so there is no timeline."}}) {
    RunTexts texts = run_of_four_steps();
    EXPECT_FALSE(notes_say(run_seen(texts), sentence));
    texts.files.erase(file);
    EXPECT_TRUE(notes_say(run_seen(texts), sentence)) << file;
  }
}

// A plan that was predicted, and a run of it.
RunTexts run_with_prediction() {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({}, 2));
  RunTexts texts = run_of_four_steps();
  texts.files.erase("summary.json");
  texts.files["plan.json"] = plan::plan_to_text(with_prediction(*answer.priced));
  texts.files["run.json"] =
      R"({"model": "gpt2", "options": {"seq_length": 1024, "optimizer": "adamw"}})";
  return texts;
}

TEST(RunView, ARunThatGoesOnStandsBesideItsPrediction) {
  const PlanAnswer answer = answer_gpt2(gpt2_plan({}, 2));
  const OrderedJson view = run_seen(run_with_prediction());
  EXPECT_EQ(view["predicted"]["step"]["value"], answer.priced->cost.step_time.value);
  const OrderedJson& ranks = view["memory"]["ranks"];
  ASSERT_EQ(ranks.size(), 2u);
  EXPECT_EQ(ranks[0]["measured"]["value"], 1 << 20);
  EXPECT_TRUE(ranks[1]["measured"].is_null());
  EXPECT_EQ(ranks[1]["rank"], 4);
  std::int64_t sum = 0;
  for (const OrderedJson& part : ranks[1]["parts"]) sum += part["bytes"].get<std::int64_t>();
  const cost::StageMemory& memory = answer.priced->cost.stages[1].memory;
  EXPECT_EQ(sum, memory.total().value);
  EXPECT_EQ(ranks[1]["predicted"]["value"], (memory.total() - memory.reserve).value);
  EXPECT_EQ(ranks[1]["parts"].back()["name"], "reserve");
}

TEST(RunView, APredictionOfAnotherTrainingIsNotShown) {
  RunTexts texts = run_with_prediction();
  texts.files["run.json"] =
      R"({"model": "gpt2", "options": {"seq_length": 512, "optimizer": "adamw"}})";
  EXPECT_TRUE(run_seen(texts)["predicted"].is_null());
  texts = run_of_four_steps();
  texts.files["summary.json"] = R"({"why_unpredicted": "the plan was edited"})";
  EXPECT_TRUE(notes_say(run_seen(texts), "No prediction: the plan was edited."));
}

TEST(RunView, TheTraceIsDrawnByRank) {
  const OrderedJson timeline = run_seen(run_of_four_steps())["timeline"];
  EXPECT_EQ(timeline["total_ms"], 4);
  EXPECT_EQ(timeline["rows"].size(), 3u);
  EXPECT_EQ(timeline["rows"][0]["name"], "rank 0 (stage 0)");
  EXPECT_EQ(timeline["rows"][1]["name"], "rank 0 (stage 0) communicates");
  EXPECT_EQ(timeline["rows"][1]["lane"], "collectives");
  // Both ranks compute 2 of 4 ms: communication does not count.
  EXPECT_EQ(timeline["bubble_fraction"], 0.5);
  EXPECT_EQ(timeline["events"]["hidden_ms"], (OrderedJson{0.0, 0.5, 0.0, 0.0}));
  EXPECT_EQ(timeline["events"]["microbatch"][0], 3);
}

TEST(RunView, LongRunsAreThinnedAndKeepTheirSpikes) {
  RunTexts texts = run_of_four_steps();
  std::string lines;
  for (int step = 1; step <= 100'000; ++step) {
    lines += "{\"step\": " + std::to_string(step) +
             (step == 54'321 ? ", \"loss\": 99}\n" : ", \"loss\": 1}\n");
  }
  texts.files[kRunMetrics] = lines;
  const OrderedJson metrics = run_seen(texts)["metrics"];
  const auto steps = metrics["step"].get<std::vector<int>>();
  EXPECT_LE(steps.size(), 20'001u);
  EXPECT_EQ(steps.front(), 1);
  EXPECT_EQ(steps.back(), 100'000);
  const auto spike = std::find(steps.begin(), steps.end(), 54'321);
  ASSERT_NE(spike, steps.end());
  EXPECT_EQ(metrics["loss"][static_cast<std::size_t>(spike - steps.begin())], 99);
}

TEST(ReportPage, NothingInTheFilesCanEndAScript) {
  RunTexts texts = run_of_four_steps();
  texts.files["run.json"] = R"({"options": {"data": "</script><script>alert(1)</script><!--"}})";
  texts.files.erase("summary.json");
  const std::string page =
      "<html><script id=\"galvatron-run\" type=\"application/json\"></script></html>";
  const OrderedJson view = run_seen(texts);
  const std::string report = report_page(page, view);
  EXPECT_TRUE(report.starts_with("<html><script id=\"galvatron-run\" type=\"application/json\">{"));
  EXPECT_TRUE(report.ends_with("}</script></html>"));
  const std::size_t begin = report.find('{'), end = report.rfind('}');
  const std::string inside = report.substr(begin, end - begin + 1);
  EXPECT_EQ(inside.find('<'), std::string::npos);
  EXPECT_EQ(OrderedJson::parse(inside), view);
}

}  // namespace
}  // namespace galvatron::views
