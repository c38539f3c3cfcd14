#include "galvatron/planning/question.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::planning {
namespace {

MachineKnowledge a100s() {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster("8xA100-40G");
  return knowledge;
}

Question ask(const QuestionRequest& request, const std::string& model = "llama-13b") {
  return prepare_question(request, spec::load_model(model), a100s());
}

TEST(PrepareQuestion, LeavesAMarginOfWhatADeviceHas) {
  const Question question = ask({});
  EXPECT_EQ(question.memory_given, gibibytes(39));
  EXPECT_DOUBLE_EQ(question.margin.share, 0.08);
  EXPECT_EQ(question.memory, whole_bytes(0.92 * 39 * (1 << 30)));
}

TEST(PrepareQuestion, TakesAGivenMemoryToTheByte) {
  QuestionRequest request;
  request.memory = gibibytes(36);
  EXPECT_EQ(ask(request).memory, gibibytes(36));
  request.memory_margin = parse_margin("2GiB", "--memory-margin");
  EXPECT_EQ(ask(request).memory, gibibytes(34));
  EXPECT_EQ(ask(request).memory_given, gibibytes(36));
}

TEST(PrepareQuestion, RefusesAMarginThatLeavesNothing) {
  QuestionRequest request;
  request.memory = gibibytes(36);
  request.memory_margin = parse_margin("40GiB", "--memory-margin");
  EXPECT_EQ(config_error_of([&] { ask(request); }),
            "[search] --memory-margin 40.0 GiB leaves nothing of 36.0 GiB");
}

TEST(PrepareQuestion, AsksForTheUnitOfAMemoryOfBytes) {
  QuestionRequest request;
  request.memory = Bytes{24};
  EXPECT_EQ(config_error_of([&] { ask(request); }),
            "[search] --memory 24 is 24 bytes; write the unit, such as 24GiB or 80GB");
}

TEST(PrepareQuestion, TakesTheModelsOwnLengthUpToTheUsual) {
  EXPECT_EQ(ask({}, "gpt2-1.5b").job.seq_length, 1024);
  EXPECT_EQ(ask({}, "llama3-8b").job.seq_length, 8192);
  EXPECT_EQ(ask({}, "qwen2.5-7b").job.seq_length, 8192);
  EXPECT_EQ(ask({}, "t5-3b").job.seq_length, 512);
  QuestionRequest request;
  request.seq_length = 16384;
  EXPECT_EQ(ask(request, "qwen2.5-7b").job.seq_length, 16384);
}

TEST(PrepareQuestion, DocumentsAreOfTextAndNoLongerThanASample) {
  QuestionRequest request;
  request.attended_length = 512;
  const Question apart = ask(request, "llama2-7b"), whole = ask({}, "llama2-7b");
  EXPECT_EQ(apart.job.attended_length, 512);
  EXPECT_LT(apart.profile.lookup(1, 1, 1).forward, whole.profile.lookup(1, 1, 1).forward);
  EXPECT_EQ(apart.profile.lookup(1, 1, 1).activation, whole.profile.lookup(1, 1, 1).activation);
  request.seq_length = 256;
  EXPECT_EQ(config_error_of([&] { ask(request, "llama2-7b"); }),
            "[search] --attended-length 512 is more than the sample's 256 tokens; a document ends "
            "where its sample does");
  request.seq_length = 0;
  EXPECT_NE(config_error_of([&] { ask(request, "vit-base"); }).find("reads images"),
            std::string::npos);
}

TEST(ParseMargin, ReadsAShareOrASize) {
  EXPECT_EQ(parse_margin("5%", "m"), (MemoryMargin{0.05, {}}));
  EXPECT_EQ(parse_margin("0", "m"), MemoryMargin{});
  EXPECT_EQ(parse_margin("1GiB", "m"), (MemoryMargin{0, gibibytes(1)}));
  for (const char* text : {"100%", "-1%", "%", "5 %x", "five%"}) {
    EXPECT_FALSE(config_error_of([&] { parse_margin(text, "--memory-margin"); }).empty()) << text;
  }
}

}  // namespace
}  // namespace galvatron::planning
