#include "galvatron/server/api.h"

#include <gtest/gtest.h>

#include "galvatron/planning/plan_question.h"
#include "galvatron/profiles/cluster.h"
#include "galvatron/views/search_answer.h"

namespace galvatron::server {
namespace {

const char* const kQuestion =
    R"({"model": "gpt2-tiny", "machine": {"cluster": "8xA100"},
        "options": {"world_size": 4, "global_batch": "8", "seq_length": 64}})";

const Api& api() {
  static const Api kApi({}, {.seconds = 60, .searches = 1}, "1.2.3");
  return kApi;
}

http::Request post(const std::string& path, const std::string& body) {
  return {"POST", path, "", {{"Content-Type", "application/json"}}, body};
}

Json answer_of(const std::string& path, const Json& body, int status = 200) {
  const http::Answer answer = api().answer(post(path, body.dump()));
  EXPECT_EQ(answer.status, status) << answer.body;
  return Json::parse(answer.body);
}

std::vector<Json> lines_heard(const http::Answer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  std::vector<Json> out;
  if (answer.stream) {
    answer.stream([&](std::string_view line) {
      out.push_back(Json::parse(line));
      return true;
    });
  }
  return out;
}

Json result_of(const std::string& path, const Json& body) {
  const auto lines = lines_heard(api().answer(post(path, body.dump())));
  EXPECT_GE(lines.size(), 2U);
  EXPECT_TRUE(lines.front().contains("progress"));
  EXPECT_TRUE(lines.back().contains("result")) << lines.back();
  return lines.back()["result"];
}

plan::Plan some_plan() {
  plan::LayerStrategy strategy;
  strategy.zero_stage = 3;
  return plan::uniform_plan(spec::load_model("gpt2-tiny"), {.global_batch = 8}, 4, strategy, 2, 4);
}

Json plan_request(const plan::Plan& plan) {
  return {{"question", Json::parse(kQuestion)},
          {"plan", {{"name", "mine"}, {"plan", Json::parse(plan::plan_to_json(plan).dump())}}}};
}

TEST(Api, BeginsWithWhatIsKnown) {
  const http::Answer answer = api().answer({"GET", "/api/start", "", {}, ""});
  const Json start = Json::parse(answer.body);
  EXPECT_EQ(start["version"], "1.2.3");
  EXPECT_EQ(start["models"].size(), spec::preset_names().size());
  EXPECT_GT(start["clusters"].size(), profiles::cluster_names().size());
  EXPECT_EQ(start["limits"]["request_bytes"], 16 << 20);
  for (const char* command : {"search", "simulate", "frontier", "sweep"}) {
    for (const Json& option : start["options"][command]) {
      EXPECT_EQ(option["name"].get<std::string>().find('-'), std::string::npos);
      EXPECT_NE(option["help"], "");
    }
  }
  for (const Json& field : start["strategy_fields"]) {
    EXPECT_TRUE(field["choices"].is_null() || field["choices"].size() > 1) << field;
  }
}

TEST(Api, PricesAPlanAsTheCommandLineDoes) {
  const Json view = answer_of("/api/plan", plan_request(some_plan()));
  planning::PlanQuestionRequest request;
  request.question.seq_length = 64;
  planning::MachineKnowledge machine;
  machine.cluster = profiles::load_cluster("8xA100");
  const auto priced =
      planning::price_plan(request, some_plan(), spec::load_model("gpt2-tiny"), machine, "mine");
  EXPECT_EQ(view["priced"]["table_text"], planning::priced_plan_table(priced));
  EXPECT_EQ(view["priced"]["time"]["step"]["value"], priced.cost.step_time.value);
  EXPECT_TRUE(view["problem"].is_null());
}

TEST(Api, SaysWhatIsWrongWithAPlan) {
  plan::Plan plan = some_plan();
  plan.layers[1].tp_degree = 3;
  const Json view = answer_of("/api/plan", plan_request(plan));
  EXPECT_NE(view["problem"]["sentence"].get<std::string>().find("tp_degree"), std::string::npos);
  EXPECT_TRUE(view["priced"].is_null());
  EXPECT_EQ(view["layers"].size(), plan.layers.size());
  for (const char* path : {"/api/timeline", "/api/export"}) {
    const Json failure = answer_of(path, plan_request(plan), 400);
    EXPECT_EQ(failure["error"]["sentence"], view["problem"]["sentence"]);
  }
}

TEST(Api, DrawsAPlan) {
  Json request = plan_request(some_plan());
  EXPECT_GT(answer_of("/api/timeline", request)["num_events"], 10);
  request["max_events"] = 3;
  EXPECT_LE(answer_of("/api/timeline", request)["events"]["row"].size(), 4U);
  request.erase("max_events");
  request["pp_rank"] = 1;
  EXPECT_EQ(answer_of("/api/memory", request)["pp_rank"], 1);
  request["pp_rank"] = 2;
  answer_of("/api/memory", request, 400);
}

TEST(Api, ExportsWhatCanBeOpened) {
  const Json plan = answer_of("/api/export", plan_request(some_plan()));
  EXPECT_EQ(plan::plan_from_json(plan, "exported").layers, some_plan().layers);
  const Json opened = answer_of("/api/identify", {{"name", "plan.json"}, {"text", plan.dump()}});
  EXPECT_EQ(opened["kind"], "plan");
}

TEST(Api, ComparesPlans) {
  plan::Plan other = some_plan();
  for (std::size_t i = 1; i + 1 < other.layers.size(); ++i)
    other.layers[i].recompute = plan::Recompute::kFull;
  Json request = plan_request(some_plan());
  request["one"] = request["plan"];
  request["other"] = plan_request(other)["plan"];
  request["other"]["name"] = "theirs";
  request.erase("plan");
  const Json comparison = answer_of("/api/compare", request);
  const std::string verdict = comparison["verdict"];
  EXPECT_NE(verdict.find("mine"), std::string::npos) << verdict;
  EXPECT_FALSE(comparison["layers"].empty());
}

TEST(Api, SearchesAsTheCommandLineDoes) {
  const Json found = result_of("/api/search", {{"question", Json::parse(kQuestion)}});
  planning::SearchRequest request;
  request.question.world_size = 4;
  request.question.seq_length = 64;
  planning::MachineKnowledge machine;
  machine.cluster = profiles::load_cluster("8xA100");
  const auto prepared =
      planning::prepare_search(request, spec::load_model("gpt2-tiny"), std::move(machine));
  const auto answer = views::answer_search(prepared, true);
  EXPECT_EQ(found["best"]["step"]["value"], answer.result.best->cost.step_time.value);
  EXPECT_EQ(found["question_text"], answer.question_text());
  EXPECT_EQ(found["shadow_prices"].size(), answer.explanation->prices.size());
}

TEST(Api, FrontierAndSweep) {
  Json request = {{"question", Json::parse(kQuestion)}};
  request["question"]["options"]["budgets"] = 8;
  const Json frontier = result_of("/api/frontier", request);
  EXPECT_FALSE(frontier["rows"].empty());
  request["question"]["options"] = {{"world_size", {2, 4}}, {"seq_length", {64}}};
  EXPECT_EQ(result_of("/api/sweep", request)["rows"].size(), 2U);
}

TEST(Api, AsManySearchesAsThereArePlaces) {
  const std::string body = Json{{"question", Json::parse(kQuestion)}}.dump();
  const http::Answer first = api().answer(post("/api/search", body));
  EXPECT_EQ(api().answer(post("/api/search", body)).status, 429);
  EXPECT_EQ(lines_heard(first).back().contains("result"), true);
  // Its place is free with its answer.
  EXPECT_EQ(api().answer(post("/api/search", body)).status, 429);
  const_cast<http::Answer&>(first).stream = nullptr;
  EXPECT_EQ(api().answer(post("/api/search", body)).status, 200);
}

TEST(Api, RefusesByTheHead) {
  const auto status_of = [](const http::Request& head) {
    const auto refusal = api().refusal(head);
    return refusal ? refusal->status : 200;
  };
  EXPECT_EQ(status_of({"GET", "/api/start", "", {}, ""}), 200);
  EXPECT_EQ(status_of({"HEAD", "/api/start", "", {}, ""}), 200);
  EXPECT_EQ(status_of({"POST", "/api/start", "", {}, ""}), 405);
  EXPECT_EQ(status_of({"GET", "/api/plan", "", {}, ""}), 405);
  EXPECT_EQ(status_of({"OPTIONS", "/api/plan", "", {}, ""}), 405);
  EXPECT_EQ(status_of({"DELETE", "/", "", {}, ""}), 405);
  EXPECT_EQ(status_of({"POST", "/api/plan", "", {}, ""}), 415);
  EXPECT_EQ(status_of({"POST", "/api/plan", "", {{"Content-Type", "text/plain"}}, ""}), 415);
  EXPECT_EQ(status_of(post("/api/plan", "")), 200);
  EXPECT_EQ(
      status_of(
          {"POST", "/api/plan", "", {{"content-type", "Application/JSON; charset=utf-8"}}, ""}),
      200);
  const auto unknown = api().refusal(post("/api/pln", ""));
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 404);
  EXPECT_NE(unknown->body.find("did you mean '/api/plan'?"), std::string::npos) << unknown->body;
}

TEST(Api, SaysWhatIsWrongWithARequest) {
  for (const char* body :
       {"", "{", "[]", "null", "{\"question\": 3}", "{\"question\": {}}", "{\"a\": NaN}",
        "{\"question\": 1e999}", "\"\xff\"", "{\"question\": {\"model\": \"gpt2\"}, \"more\": 1}",
        "{\"question\": {\"model\": \"no-such-model\"}}",
        "{\"question\": {\"model\": \"gpt2\", \"machine\": {\"cluster\": \"8xA1\"}}}",
        "{\"question\": {\"model\": {\"model_type\": \"gpt2\", \"n_layer\": 1000000000}}}",
        "{\"question\": {\"model\": \"gpt2\", \"options\": {\"memory\": -1}}}"}) {
    for (const std::string& path : api().paths()) {
      if (path == "/api/start" || path.starts_with("/api/run/")) continue;
      const http::Answer answer = api().answer(post(path, body));
      EXPECT_EQ(answer.status, 400) << path << " " << body << " " << answer.body;
      EXPECT_NE(Json::parse(answer.body)["error"]["sentence"], "");
    }
  }
  const http::Answer deep = api().answer(post("/api/plan", std::string(1'000'000, '[')));
  EXPECT_EQ(deep.status, 400);
}

}  // namespace
}  // namespace galvatron::server
