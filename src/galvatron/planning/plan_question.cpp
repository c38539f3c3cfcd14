#include "galvatron/planning/plan_question.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/checkpoint_share.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"

namespace galvatron::planning {
namespace {

// What the user leaves open is the plan's.
QuestionRequest filled_from(const PlanQuestionRequest& request, const plan::Plan& plan) {
  QuestionRequest out = request.question;
  const auto recorded = plan::recorded_question(plan);
  out.world_size = plan.world_size;
  out.precision = plan.precision;
  out.communication = spec::CommunicationWish::for_all_of(plan.communication);
  out.optimizer = !request.optimizer.empty() ? request.optimizer
                  : recorded                 ? recorded->optimizer->name
                                             : spec::default_optimizer().name;
  if (out.seq_length == 0 && recorded) {
    out.seq_length = recorded->seq_length;
    if (out.attended_length == 0) out.attended_length = recorded->attended_length;
  }
  out.needs_memory = false;
  return out;
}

// Files, and what an asynchronous save takes beside the memory above.
std::string checkpoint_line(const PricedPlan& priced) {
  Bytes whole, most;
  for (const Bytes share : plan::checkpoint_shares(priced.question.model, priced.plan,
                                                   *priced.question.job.optimizer)) {
    whole += Bytes{share.value * priced.plan.ranks_per_stage()};
    most = std::max(most, share);
  }
  return fmt::format(
      "  a checkpoint has {}, of a rank up to {}: what train --async-save copies into the host's "
      "memory\n",
      to_text(whole), to_text(most));
}

}  // namespace

OptionList plan_question_options(PlanQuestionRequest& request) {
  OptionList list = memory_options(request.question);
  list.count("seq-length", request.question.seq_length, {.min = 0},
             "Tokens of a sample; 0: what the plan records, else the profile's or the model's");
  list.append(attended_option(request.question, "what the plan records, else all of the sample"));
  list.choice(
      "optimizer", spec::optimizer_names(),
      "Of the training: what it keeps takes memory; default: what the plan records, else " +
          spec::default_optimizer().name,
      [&request](const std::string& name) { request.optimizer = name; },
      [&request] { return request.optimizer; });
  list.append(tokens_option(request.question));
  list.append(profiles::cluster_override_options(request.question.cluster));
  return list;
}

Question question_of_plan(const PlanQuestionRequest& request, const plan::Plan& plan,
                          const spec::ModelSpec& model, const MachineKnowledge& knowledge) {
  Question out = prepare_question(filled_from(request, plan), model, knowledge);
  out.job.global_batch = plan.global_batch;
  return out;
}

PricedPlan price_plan(Question question, plan::Plan plan, const std::string& name) {
  PricedPlan out{name, std::move(plan), std::move(question), {}};
  out.cost = cost::estimate(out.question.inputs(), out.plan);
  return out;
}

PricedPlan price_plan(const PlanQuestionRequest& request, plan::Plan plan,
                      const spec::ModelSpec& model, const MachineKnowledge& knowledge,
                      const std::string& name) {
  plan::require_valid_plan(plan, model);
  Question question = question_of_plan(request, plan, model, knowledge);
  plan::require_valid_plan(plan, model, {0, question.job.seq_length});
  return price_plan(std::move(question), std::move(plan), name);
}

PlanQuestionRequest same_training(PlanQuestionRequest request, const PricedPlan& priced) {
  request.question.seq_length = priced.question.job.seq_length;
  request.question.attended_length = priced.question.job.attended_length;
  request.optimizer = priced.question.job.optimizer->name;
  return request;
}

std::string priced_plan_table(const PricedPlan& priced) {
  return cost::plan_cost_table(priced.cost, priced.plan, priced.question.memory) +
         checkpoint_line(priced) +
         to_text(throughput(priced.question, priced.plan, priced.cost), priced.question) +
         extrapolated_text(priced.question, priced.plan);
}

std::string why_it_does_not_fit(const PricedPlan& priced) {
  const Bytes needed = priced.cost.peak_memory(), memory = priced.question.memory;
  return fmt::format("{} does not fit: its fullest device needs {} of {}, {} too much", priced.name,
                     to_text(needed), to_text(memory), to_text(needed - memory));
}

plan::Plan with_prediction(const PricedPlan& priced) {
  plan::Plan out = priced.plan;
  out.search = cost::prediction_to_json(priced.cost, priced.question.memory);
  add_answer(out.search, priced.question, priced.plan, priced.cost);
  plan::record_question(out, priced.question.job);
  return out;
}

}  // namespace galvatron::planning
