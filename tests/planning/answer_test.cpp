#include "galvatron/planning/answer.h"

#include <gtest/gtest.h>

#include "galvatron/planning/search_request.h"

namespace galvatron::planning {
namespace {

using std::chrono::days;
using std::chrono::hours;

constexpr Now kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + hours(12);

PreparedSearch llama_13b() {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster("8xA100");
  SearchRequest request;
  request.question.tokens = 1e12;
  request.question.seq_length = 2048;
  request.global_batch = "64";
  return prepare_search(request, spec::load_model("llama-13b"), knowledge);
}

TEST(Throughput, CountsModelFlopsAsMegatronDoes) {
  const PreparedSearch prepared = llama_13b();
  const search::SearchResult result = prepared.run();
  const Throughput got = throughput(prepared.question, result.best->plan, result.best->cost);
  // 6 P T with P the parameters of matrix products, and 6 L H S T for the causal half of attention.
  const double tokens = 64 * 2048, layers = 40, hidden = 5120;
  const double products = layers * (4 * hidden * hidden + 3 * hidden * 13824) + hidden * 32000;
  const double flops = 6 * tokens * products + 6 * layers * hidden * 2048 * tokens;
  EXPECT_NEAR(got.flops_per_step / flops, 1, 1e-12);
  const double seconds = result.best->cost.step_time.value / 1000;
  EXPECT_NEAR(*got.mfu, flops / (seconds * 8 * 312e12), 1e-12);
  EXPECT_NEAR(*got.days, 1e12 / got.tokens_per_second / 86400, 1e-9);
  EXPECT_NEAR(*got.device_hours, *got.days * 24 * 8, 1e-6);
}

TEST(QuestionText, SaysAllThatTheAnswerDependsOn) {
  const PreparedSearch prepared = llama_13b();
  const std::string text = to_text(prepared.question, 64, kNow);
  for (const char* part :
       {"llama-13b: 13.0 B parameters in 40 blocks", "8 ranks, 1 node x 8 of NVIDIA A100",
        "batch 64 x 2048 tokens", "bf16, adamw", "less a margin of 8 %", "data sheet of 8xA100"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

}  // namespace
}  // namespace galvatron::planning
