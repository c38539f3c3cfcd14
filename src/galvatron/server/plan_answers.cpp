#include "galvatron/server/plan_answers.h"

#include <optional>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/server/questions.h"
#include "galvatron/views/comparison_view.h"
#include "galvatron/views/memory_detail.h"
#include "galvatron/views/plan_view.h"
#include "galvatron/views/timeline_view.h"

namespace galvatron::server {
namespace {

constexpr const char* kSource = "the request";

struct Answered {
  views::PlanQuestion question;
  views::PlanAnswer answer;

  // ConfigError where the plan has a problem.
  const planning::PricedPlan& priced() const {
    if (answer.problem) throw ConfigError(answer.problem->sentence);
    return *answer.priced;
  }
};

Answered answered(JsonReader& request) {
  const Asked asked(request.get("question"));
  views::PlanQuestion question = asked.plans();
  views::NamedPlan plan = asked.plan(request.get("plan"), question);
  request.finish();
  views::PlanAnswer answer = views::answer_plan(question, std::move(plan));
  return {std::move(question), std::move(answer)};
}

// "pp_ranks": first and last; nullopt: all.
std::optional<Range> ranks_in(JsonReader& request) {
  constexpr const char* kKey = "pp_ranks";
  if (!request.has(kKey)) return std::nullopt;
  const Json& ranks = request.get_array(kKey);
  const auto is_rank = [](const Json& one) {
    return one.is_number_integer() && one >= 0 && one < plan::kMaxRanks;
  };
  if (ranks.size() != 2 || !is_rank(ranks[0]) || !is_rank(ranks[1])) {
    throw ConfigError("[timeline] ", kKey, " are the first and the last pipeline rank to show");
  }
  return Range{ranks[0].get<std::int64_t>(), ranks[1].get<std::int64_t>() + 1};
}

JsonReader reader_of(const Json& request) { return {request, kSource, Nulls::kAbsent}; }

}  // namespace

OrderedJson plan_answer(const Json& request) {
  JsonReader reader = reader_of(request);
  const Answered found = answered(reader);
  return views::plan_view(found.answer, found.question.model);
}

OrderedJson timeline_answer(const Json& request) {
  JsonReader reader = reader_of(request);
  constexpr std::int64_t kMost = 10 * views::kMostTimelineEvents;
  const auto events = static_cast<std::size_t>(
      reader.get_int_or("max_events", views::kMostTimelineEvents, 1, kMost));
  const std::optional<Range> ranks = ranks_in(reader);
  return views::timeline_view(answered(reader).priced().cost.timeline, events, ranks);
}

OrderedJson memory_answer(const Json& request) {
  JsonReader reader = reader_of(request);
  const auto pp_rank = static_cast<int>(reader.get_int("pp_rank", 0, plan::kMaxRanks));
  return views::memory_detail(answered(reader).priced(), pp_rank);
}

OrderedJson compare_answer(const Json& request) {
  JsonReader reader = reader_of(request);
  const Asked asked(reader.get("question"));
  const views::PlanQuestion question = asked.plans();
  views::NamedPlan one = asked.plan(reader.get("one"), question);
  views::NamedPlan other = asked.plan(reader.get("other"), question);
  reader.finish();
  return views::comparison_view(views::answer_both(question, std::move(one), std::move(other)),
                                question.model);
}

OrderedJson export_answer(const Json& request) {
  JsonReader reader = reader_of(request);
  return plan::plan_to_json(planning::with_prediction(answered(reader).priced()));
}

}  // namespace galvatron::server
