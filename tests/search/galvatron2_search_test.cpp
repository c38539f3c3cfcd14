#include "galvatron/search/galvatron2_search.h"

#include <gtest/gtest.h>

#include "search/galvatron2_case.h"

namespace galvatron::search {
namespace {

TEST(Galvatron2Search, ReachesTheBestKnownOfEveryCase) {
  const auto files = galvatron2_case_files();
  EXPECT_EQ(files.size(), 15u);
  for (const auto& file : files) {
    const Galvatron2Case question(file);
    const auto result = search_galvatron2(question.options, question.profiles);
    ASSERT_TRUE(result.best) << file;
    const double ours = result.best->score.samples_per_second;
    const double known = question.json["best_known"];
    EXPECT_NEAR(ours, known, 1e-9 * known) << file;
    EXPECT_GE(ours, double(question.json["upstream"]["throughput"]) * (1 - 1e-12)) << file;
    EXPECT_EQ(result.certificate.gap(), 0) << file;
    const double limit = cost::galvatron2_limit_mb(question.options.memory);
    for (const double mb : result.best->score.stage_mb) EXPECT_LE(mb, limit) << file;
    if (::getenv("SHOW")) {
      double ms = 0;
      for (const auto& phase : result.certificate.phases) ms += phase.time.value;
      std::printf("%-44s %10.6f %10.6f %10.6f  %6.2f ms  cand %ld solved %ld nodes %ld trans %d\n",
                  file.stem().c_str(), double(question.json["upstream"]["throughput"]), known, ours,
                  ms, long(result.certificate.candidates), long(result.certificate.solved),
                  long(result.certificate.nodes), count_transitions(result.best->plan));
    }
  }
}

}  // namespace
}  // namespace galvatron::search
