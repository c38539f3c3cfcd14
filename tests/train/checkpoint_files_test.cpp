// State files that say the right checksums and contradict themselves.
#include "galvatron/train/checkpoint_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/comm/torch_headers.h"

#include "config_error.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

using runtime::Box;

class StateFilesOnDisk : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Writes boxes of "weights/w", each filled with its number, and says what reading says.
  std::string problem(const std::vector<Box>& boxes, const std::string& copied_as = "") const {
    std::vector<StatePiece> pieces;
    for (const Box& box : boxes)
      pieces.push_back({"weights/w", box,
                        at::full(box.shape(), static_cast<double>(pieces.size()), at::kFloat)});
    CheckpointIndex index;
    index.files.push_back(write_state_file(folder_ / "state.safetensors", pieces));
    if (!copied_as.empty()) {
      fs::copy(folder_ / "state.safetensors", folder_ / copied_as);
      index.files.push_back(index.files.front());
      index.files.back().name = copied_as;
    }
    return problem_with(index);
  }

  std::string problem_with(const CheckpointIndex& index) const {
    return config_error_of([&] {
      StateFiles files(folder_, index);
      const std::string said = files.problem_with("weights/w", at::kFloat, {8});
      if (!said.empty()) throw ConfigError(said);
      files.read("weights/w", {{{0, 8}}}, at::empty({8}));
    });
  }

  const fs::path folder_ = fs::path(testing::TempDir()) /
                           ("galvatron_checkpoint_files_test_" + std::to_string(getpid()));
};

TEST_F(StateFilesOnDisk, PartsMayComeInAnyOrder) {
  EXPECT_EQ(problem({{{{5, 8}}}, {{{0, 2}}}, {{{2, 5}}}}), "");
}

TEST_F(StateFilesOnDisk, PartsThatShareElementsAreRefusedAlthoughThereAreEnough) {
  const std::string said = problem({{{{0, 4}}}, {{{0, 2}}}, {{{6, 8}}}});
  EXPECT_NE(said.find("is damaged: 'weights/w' is there twice: its parts [0:4] and [0:2] share"),
            std::string::npos)
      << said;
}

TEST_F(StateFilesOnDisk, AFileThatIsNamedTwiceIsRefused) {
  EXPECT_NE(problem({{{{0, 8}}}}, "again.safetensors").find("is there twice"), std::string::npos);
}

TEST_F(StateFilesOnDisk, PartsOfOtherDimensionsAreRefused) {
  EXPECT_NE(problem({{{{0, 4}}}, {{{4, 8}, {0, 1}}}}).find("different numbers of dimensions"),
            std::string::npos);
}

TEST_F(StateFilesOnDisk, AHoleIsCounted) {
  EXPECT_NE(problem({{{{0, 4}}}, {{{6, 8}}}}).find("but 6 of its 8 elements are there"),
            std::string::npos);
}

TEST_F(StateFilesOnDisk, ALinkIsRefusedWhereverItLeads) {
  const StatePiece piece{"weights/w", {{{0, 8}}}, at::ones({8})};
  CheckpointIndex index;
  index.files.push_back(write_state_file(folder_ / "elsewhere", {piece}));
  index.files.front().name = "state.safetensors";
  fs::create_symlink(folder_ / "elsewhere", folder_ / "state.safetensors");
  EXPECT_NE(problem_with(index).find("state.safetensors is a link"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::train
