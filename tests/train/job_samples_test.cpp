#include "galvatron/train/job_samples.h"

#include <cmath>

#include <gtest/gtest.h>

#include "galvatron/train/train_job.h"

#include "data/token_file.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

TEST(AttendedLength, IsTheSumOfSquaresOverTheTokens) {
  const data::TemporaryFolder folder;
  TrainJob job;
  job.data = folder / "corpus";
  job.split = "1";
  std::vector<std::vector<std::uint16_t>> documents;
  for (const std::size_t length : {10UL, 20UL, 25UL})
    documents.emplace_back(length, std::uint16_t{7});
  data::write_token_pair<std::uint16_t>(job.data, 8, documents);
  const auto attended = [&](data::DocumentMode mode) {
    job.documents = mode;
    return attended_length(job, *make_samples(job, tiny_gpt(), 30, data::SplitPart::kTrain));
  };
  EXPECT_EQ(attended(data::DocumentMode::kJoined), 0);
  // Of one sample 10 + 20 tokens.
  EXPECT_EQ(attended(data::DocumentMode::kMasked), std::lround((100 + 400) / 30.0));
  // Of the other 25, and 5 of padding.
  EXPECT_EQ(attended(data::DocumentMode::kPacked), std::lround((100 + 400 + 625) / 60.0));
}

}  // namespace
}  // namespace galvatron::train
