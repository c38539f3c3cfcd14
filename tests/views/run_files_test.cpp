#include "galvatron/views/run_files.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "views/run_testing.h"

namespace galvatron::views {
namespace {

// What reading says when one of the files is another one; "" in its place: it is not there.
std::string said_of(const std::string& file, const std::string& content) {
  RunTexts texts = run_of_four_steps();
  texts.files[file] = content;
  return config_error_of([&] { read_run(texts); });
}

TEST(RunFiles, AStepThatWasRunAgainCountsOnce) {
  RunTexts texts = run_of_four_steps();
  OrderedJson again = step_line(4), next = step_line(5);
  again["loss"] = 1.5;
  next["loss"] = nullptr;
  texts.files[kRunMetrics] += again.dump() + "\n" + next.dump() + "\n";
  const auto run = read_run(texts);
  EXPECT_EQ(run.steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(run.metrics.at("loss")[3], 1.5);
  EXPECT_EQ(run.metrics.at("loss")[4], std::nullopt);
}

TEST(RunFiles, ALastLineThatIsCutOffIsLeftOutAndSaid) {
  RunTexts texts = run_of_four_steps();
  texts.files[kRunMetrics] += R"({"step": 5, "lo)";
  const auto run = read_run(texts);
  EXPECT_EQ(run.steps.size(), 4u);
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_EQ(run.notes[0], "The last line of metrics.jsonl is cut off, and left out.");
}

TEST(RunFiles, EventsStartAtZero) {
  const auto run = read_run(run_of_four_steps());
  ASSERT_EQ(run.events->size(), 4u);
  const TracedEvent &first = (*run.events)[0], &last = (*run.events)[3];
  EXPECT_EQ(first.start, Milliseconds{0});
  EXPECT_EQ(first.microbatch, 3);
  EXPECT_EQ(last.start, Milliseconds{3});
  EXPECT_EQ(last.end, Milliseconds{4});
}

TEST(RunFiles, RanksAreInTheirOrder) {
  const auto run = read_run(run_of_four_steps());
  ASSERT_EQ(run.summary->ranks.size(), 2u);
  EXPECT_EQ(run.summary->ranks[0].measured_bytes, 200);
  EXPECT_EQ(run.summary->ranks[0].predicted_bytes, std::nullopt);
  EXPECT_EQ(run.summary->ranks[1].predicted_bytes, 330);
}

TEST(RunFiles, DamagedFilesAreOneSentence) {
  RunTexts none = run_of_four_steps();
  none.files.erase(kRunMetrics);
  EXPECT_EQ(config_error_of([&] { read_run(none); }),
            "runs/first holds no metrics.jsonl; is it the folder of a run (galvatron train "
            "--metrics)?");
  EXPECT_EQ(said_of(kRunMetrics, ""),
            "runs/first/metrics.jsonl holds no step: the run has not finished one yet");
  EXPECT_NE(said_of(kRunMetrics, "{\"step\": 1}\nnonsense\n")
                .find("runs/first/metrics.jsonl, line 2, is not valid JSON"),
            std::string::npos);
  EXPECT_EQ(said_of(kRunMetrics, "[1]\n"),
            "runs/first/metrics.jsonl, line 1 must be a JSON object, not list");
  EXPECT_EQ(said_of(kRunMetrics, "{\"step\": 1, \"loss\": \"low\"}\n"),
            "runs/first/metrics.jsonl, line 1: 'loss' must be a number, not \"low\"");
  EXPECT_EQ(said_of(kRunMetrics, "{\"step\": 1.5}\n"),
            "runs/first/metrics.jsonl, line 1: 'step' must be a whole number, not 1.5");
  EXPECT_EQ(said_of("summary.json", R"({"ranks": [1]})"),
            "runs/first/summary.json, 'ranks'[0] must be a JSON object, not int");
  EXPECT_EQ(said_of("trace.json", R"({"traceEvents": {}})"),
            "runs/first/trace.json: 'traceEvents' must be a list, not dict");
  EXPECT_NE(said_of("plan.json", "{").find("runs/first/plan.json is not valid JSON"),
            std::string::npos);
  EXPECT_NE(said_of("plan.json", R"({"layers": 3})").find("is no plan of ours"), std::string::npos);
  EXPECT_NE(said_of("trace.json", std::string(100'000, '[')).find("is nested deeper"),
            std::string::npos);
}

TEST(RunFiles, NumbersBeyondAnyCountAreRefusedOrLeftOut) {
  EXPECT_NE(said_of(kRunMetrics, "{\"step\": 1e300}\n").find("must be a whole number"),
            std::string::npos);
  EXPECT_EQ(said_of("trace.json", R"({"traceEvents": [{"ph": "X", "cat": "forward", "ts": 0,
            "dur": 1, "args": {"microbatch": 1e300}}]})"),
            "");
}

TEST(RunFiles, AFolderThatIsNotThereIsSaid) {
  EXPECT_EQ(config_error_of([] { read_run_texts("no/such/folder"); }),
            "there is no folder no/such/folder");
}

}  // namespace
}  // namespace galvatron::views
