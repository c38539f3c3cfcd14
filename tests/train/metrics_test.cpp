#include "galvatron/train/metrics.h"

#include <filesystem>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/base/option.h"

#include "config_error.h"

namespace galvatron::train {
namespace {

StepRecord example() {
  StepRecord record;
  record.step = 3;
  record.loss = 1.0 / 3;
  record.grad_norm = 0.1;
  record.lr = 3e-4;
  record.tokens = 512;
  record.seconds = 0.25;
  record.data_wait_seconds = 0.125;
  record.memory = {1 << 20};
  return record;
}

TEST(Metrics, ALineReadsBackToTheBit) {
  const Json line = Json::parse(to_json_line(example()));
  EXPECT_EQ(line["step"], 3);
  EXPECT_EQ(line["loss"].get<double>(), 1.0 / 3);
  EXPECT_EQ(line["grad_norm"].get<double>(), 0.1);
  EXPECT_EQ(line["lr"].get<double>(), 3e-4);
  EXPECT_EQ(line["tokens"], 512);
  EXPECT_EQ(line["tokens_per_second"].get<double>(), 2048);
  EXPECT_EQ(line["memory_bytes"], 1 << 20);
  EXPECT_EQ(line["data_wait_seconds"].get<double>(), 0.125);
  EXPECT_EQ(line.size(), 9U) << "mfu, valid_loss and skipped only where they are known";
}

TEST(Metrics, OptionalFigures) {
  StepRecord record = example();
  record.mfu = 0.5;
  record.valid_loss = 2.5;
  record.valid_perplexity = 12.25;
  record.valid_accuracy = 1.0 / 3;
  record.images = 64;
  record.skipped = true;
  const Json line = Json::parse(to_json_line(record));
  EXPECT_EQ(line["mfu"].get<double>(), 0.5);
  EXPECT_EQ(line["valid_loss"].get<double>(), 2.5);
  EXPECT_EQ(line["valid_perplexity"].get<double>(), 12.25);
  EXPECT_EQ(line["valid_accuracy"].get<double>(), 1.0 / 3);
  EXPECT_EQ(line["images_per_second"].get<double>(), 256);
  EXPECT_TRUE(line["skipped"].get<bool>());
}

std::vector<std::string> cells_of(const std::string& row) { return split_list(row); }

TEST(Metrics, ARowHasEachValueUnderItsName) {
  StepRecord record = example();
  record.valid_accuracy = 1.0 / 3;
  record.grad_norm = std::numeric_limits<double>::infinity();
  record.skipped = true;
  record.samples = {8, 16};
  const std::vector<std::string> names = cells_of(csv_header()),
                                 cells = cells_of(to_csv_row(record));
  ASSERT_EQ(cells.size(), names.size());
  const Json line = Json::parse(to_json_line(record));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "samples") {
      EXPECT_EQ(cells[i], "8..15");
    } else if (!line.contains(names[i]) || line[names[i]].is_null()) {
      EXPECT_EQ(cells[i], "") << names[i];
    } else {
      EXPECT_EQ(cells[i], line[names[i]].dump()) << names[i];
    }
  }
}

TEST(MetricsFile, AFullDiskKeepsNothingBack) {
  MetricsFile file("/dev/full");
  for (int i = 0; i < 2; ++i) EXPECT_THROW(file.write(example()), RuntimeFailure);
  EXPECT_THROW(file.finish(), RuntimeFailure);
}

TEST(MetricsFile, EachLineIsThereAtOnce) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                     ("metrics" + std::to_string(getpid())) / "m.jsonl";
  MetricsFile file(path);
  for (int i = 1; i <= 2; ++i) {
    file.write(example());
    std::ifstream in(path);
    int lines = 0;
    for (std::string line; std::getline(in, line); ++lines)
      EXPECT_EQ(line, to_json_line(example()));
    EXPECT_EQ(lines, i);
  }
  std::filesystem::remove_all(path.parent_path());
}

TEST(MetricsFile, KeepsTheStepsThatAreDone) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                     ("metrics" + std::to_string(getpid())) / "again.jsonl";
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3}\n{\"step\": 4, \"lo";
  {
    MetricsFile(path, 2).write(example());
  }
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(text, "{\"step\": 1}\n{\"step\": 2}\n" + to_json_line(example()) + "\n");
  std::filesystem::remove_all(path.parent_path());
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(MetricsFile, ATableGoesOnBelowTheStepsThatAreDone) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                     ("metrics" + std::to_string(getpid())) / "table.csv";
  std::vector<std::string> rows;
  {
    MetricsFile table(path, 0, MetricsFormat::kCsv);
    for (int i = 1; i <= 3; ++i) {
      StepRecord record = example();
      record.step = i;
      rows.push_back(to_csv_row(record) + "\n");
      table.write(record);
    }
  }
  const std::string header = csv_header() + "\n";
  EXPECT_EQ(content_of(path), header + rows[0] + rows[1] + rows[2]);
  std::ofstream(path, std::ios::app) << "2,0.5,";  // cut off, and of a step that stays
  {
    MetricsFile(path, 2, MetricsFormat::kCsv).write(example());
  }
  EXPECT_EQ(content_of(path), header + rows[0] + rows[1] + rows[2]);
  std::ofstream(path) << "step,loss\n1,2\n";
  const std::string refusal = config_error_of([&] { MetricsFile(path, 1, MetricsFormat::kCsv); });
  EXPECT_EQ(refusal, "[train] " + path.string() + " has other columns than " + csv_header() +
                         "; name another file for the rows of this run");
  std::filesystem::remove_all(path.parent_path());
}

TEST(MetricsFile, RefusesAPlaceThatCannotBeWritten) {
  const std::string refusal = config_error_of([] { MetricsFile("/proc/no/metrics.jsonl"); });
  EXPECT_TRUE(refusal.starts_with("[train] cannot write /proc/no/metrics.jsonl: ")) << refusal;
}

}  // namespace
}  // namespace galvatron::train
