// Checkpoints to which something happened: each damage is named, none is used in silence.
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/train/checkpoint.h"
#include "galvatron/train/train_job.h"

#include "config_error.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

std::string read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

class DamagedFiles : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    fs::remove_all(folder_);
    train(2, 3);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Saves after every step.
  void train(int world_size, std::int64_t steps, const std::string& run = "run",
             const KeepOptions& keep = {}) const {
    comm::run_rank_threads(world_size, [&](comm::World& world) {
      at::set_num_threads(1);
      const data::NextTokenSamples samples = synthetic_samples(model_, kSeed);
      runtime::Engine engine(model_, make_plan(world_size, {.zero_stage = 1}), world,
                             models::make_layer, {kSeed, kSeqLength});
      Trainer trainer(engine, samples, nullptr, make_options(steps));
      CheckpointFacts facts{run, kSeqLength};
      facts.keep = keep;
      trainer.run([&](const StepRecord&) { save_checkpoint(folder_, engine, trainer, facts); });
    });
  }

  // What a run on one rank says when it goes on from the folder; the checkpoint that it takes.
  std::string problem() const {
    return config_error_of([&] {
      const CheckpointCandidates found = checkpoint_candidates(folder_);
      if (!found.note.empty()) throw ConfigError(found.note);
      check_checkpoint(found.paths.front(), model_, job(), kMany);
      trainer_->load(found.paths.front());
    });
  }

  static spec::JobSpec job() { return {kSeqLength, kGlobalBatch, spec::Precision::kFp32}; }
  fs::path newest() const { return checkpoint_candidates(folder_).paths.front(); }

  // One engine that loads again and again.
  struct OneRank {
    explicit OneRank(const spec::ModelSpec& model)
        : samples(synthetic_samples(model, kSeed)),
          world(comm::single_world()),
          engine(model, make_plan(1, {}), world, models::make_layer, {kSeed, kSeqLength}),
          trainer(engine, samples, nullptr, make_options(kMany)) {}
    void load(const fs::path& checkpoint) { load_checkpoint(checkpoint, engine, trainer); }
    data::NextTokenSamples samples;
    comm::World world;
    runtime::Engine engine;
    Trainer trainer;
  };

  static constexpr std::int64_t kMany = 100;
  const spec::ModelSpec model_ = tiny_gpt();
  const fs::path folder_ =
      fs::path(testing::TempDir()) / ("galvatron_damage_test_" + std::to_string(getpid()));
  const std::unique_ptr<OneRank> trainer_ = std::make_unique<OneRank>(model_);
};

TEST_F(DamagedFiles, AnyFlippedByteIsNamed) {
  ASSERT_EQ(problem(), "");
  constexpr int kFlipsPerFile = 400;
  std::mt19937_64 random(1);
  std::vector<fs::path> files{folder_ / "latest"};
  for (const auto& entry : fs::directory_iterator(newest())) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 4U);  // the pointer, the index, two ranks
  for (const fs::path& file : files) {
    const std::string original = read_bytes(file);
    for (int i = 0; i < kFlipsPerFile; ++i) {
      std::string bytes = original;
      // Headers and ends as often as the state between.
      const std::size_t reach =
          i % 2 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 400);
      const std::size_t at = random() % reach;
      bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random() % 255));
      write_bytes(file, bytes);
      const std::string said = problem();
      ASSERT_NE(said.find(file.filename().string()), std::string::npos)
          << file << " byte " << at << ": " << said;
      ASSERT_NE(said.find("damaged"), std::string::npos) << said;
    }
    write_bytes(file, original);
  }
  EXPECT_EQ(problem(), "");
}

TEST_F(DamagedFiles, AnyTruncationOrRemovalIsNamed) {
  for (const auto& entry : fs::directory_iterator(newest())) {
    const std::string original = read_bytes(entry.path()), name = entry.path().filename();
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8},
                             original.size() / 2, original.size() - 1}) {
      write_bytes(entry.path(), original.substr(0, size));
      EXPECT_NE(problem().find(name), std::string::npos)
          << name << " of " << size << ": " << problem();
    }
    write_bytes(entry.path(), original + "x");
    EXPECT_NE(problem().find(name), std::string::npos) << problem();
    fs::remove(entry.path());
    EXPECT_NE(problem().find(name), std::string::npos) << problem();
    write_bytes(entry.path(), original);
  }
  EXPECT_EQ(problem(), "");
}

TEST_F(DamagedFiles, AnIndexThatNamesFilesElsewhereIsRefused) {
  CheckpointIndex index = read_index(newest());
  index.files[0].name = "../step-000001/" + index.files[0].name;
  write_bytes(newest() / kIndexFile, index_text(index));
  EXPECT_NE(problem().find("which is not in its folder"), std::string::npos) << problem();
}

TEST_F(DamagedFiles, TheNewestWholeOneIsTakenAndTheOthersAreNamed) {
  TrainJob job;
  job.resume = folder_;
  fs::remove(folder_ / "step-000003" / "checkpoint.json");
  fs::resize_file(folder_ / "step-000002" / "checkpoint.json", 10);
  const ResumePoint resume = find_resume_point(job);
  EXPECT_EQ(resume.checkpoint(), folder_ / "step-000001");
  ASSERT_EQ(resume.notes.size(), 2U);
  EXPECT_NE(resume.notes[0].find("step-000003 is damaged"), std::string::npos) << resume.notes[0];
  EXPECT_NE(resume.notes[1].find("going on from"), std::string::npos) << resume.notes[1];
  job.resume = folder_ / "step-000002";
  EXPECT_NE(config_error_of([&] { find_resume_point(job); }).find("step-000002 is damaged"),
            std::string::npos);
}

TEST_F(DamagedFiles, LatestIsAPointerAndNoGuess) {
  // A run of old times left a later step.
  fs::copy(folder_ / "step-000003", folder_ / "step-001000", fs::copy_options::recursive);
  EXPECT_EQ(newest(), folder_ / "step-000003");
  fs::remove(folder_ / "latest");
  EXPECT_EQ(newest(), folder_ / "step-001000");
  CheckpointIndex index = read_index(newest());
  index.run = "another";
  write_bytes(newest() / kIndexFile, index_text(index));
  EXPECT_NE(config_error_of([&] { newest(); }).find("checkpoints of 2 runs and no file 'latest'"),
            std::string::npos);
}

TEST_F(DamagedFiles, APointerToNothingFallsBackAndSaysSo) {
  fs::remove_all(folder_ / "step-000003");
  TrainJob job;
  job.resume = folder_;
  const ResumePoint resume = find_resume_point(job);
  EXPECT_EQ(resume.checkpoint(), folder_ / "step-000002");
  EXPECT_NE(resume.notes.at(0).find("step-000003 is damaged"), std::string::npos);
}

TEST_F(DamagedFiles, OnlyWhatShallStayStays) {
  fs::remove_all(folder_);
  train(1, 7, "run", {.last = 2, .every = 3});
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename());
  const std::set<std::string> expected{"latest", "step-000003", "step-000006", "step-000007"};
  EXPECT_EQ(names, expected);
}

TEST_F(DamagedFiles, ADiskThatIsGoneIsSaidOnEveryRank) {
  const fs::path elsewhere = folder_ / "file";
  write_bytes(elsewhere, "no folder");
  std::atomic<int> told = 0;
  comm::run_rank_threads(2, [&](comm::World& world) {
    const data::NextTokenSamples samples = synthetic_samples(model_, kSeed);
    runtime::Engine engine(model_, make_plan(2, {}), world, models::make_layer,
                           {kSeed, kSeqLength});
    Trainer trainer(engine, samples, nullptr, make_options(2));
    try {
      save_checkpoint(elsewhere, engine, trainer, {"run", kSeqLength});
    } catch (const CheckpointNotWritten& failure) {
      if (std::string(failure.what()).find("the checkpoint of step 0 was not written: rank 0") == 0)
        ++told;
    }
  });
  EXPECT_EQ(told, 2);
  EXPECT_EQ(read_bytes(elsewhere), "no folder");
}

}  // namespace
}  // namespace galvatron::train
