#include "galvatron/data/image_samples.h"

#include <set>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "config_error.h"
#include "data/array_file.h"

namespace galvatron::data {
namespace {

using spec::InputKind;

constexpr int kCount = 40, kHeight = 4, kWidth = 6, kClasses = 5;
constexpr spec::ImageSpec kImage{1, kHeight, kWidth, kClasses};
constexpr std::int64_t kTokens = 7;

class ImagePair : public testing::Test {
 protected:
  ImagePair() : prefix_(folder_ / "pair") {
    write_image_pair(prefix_, kCount, kHeight, kWidth, kClasses);
  }
  ImageSamplesOptions options(const std::string& split = "1") const {
    ImageSamplesOptions out;
    out.prefix = prefix_;
    out.split = split;
    return out;
  }
  ImageSamples samples(const ImageSamplesOptions& options) const {
    return ImageSamples(options, kImage, kTokens);
  }
  std::string refusal(const ImageSamplesOptions& options, const spec::ImageSpec& image = kImage) {
    return config_error_of([&] { ImageSamples(options, image, kTokens); });
  }

  TemporaryFolder folder_;
  std::string prefix_;
};

at::Tensor images_of(const SampleSource& source, std::int64_t consumed, Range samples) {
  return source.fetch(InputKind::kImages, consumed, samples, {0, kHeight});
}

at::Tensor classes_of(const SampleSource& source, std::int64_t consumed, Range samples) {
  return source.fetch(InputKind::kClasses, consumed, samples, {0, 1});
}

// The number that write_image_pair gave an image, from its pixels.
std::int64_t number_of(const at::Tensor& image) {
  return image[0][kHeight - 1][kWidth - 1].add(1).mul(127.5).round().item<std::int64_t>();
}

TEST_F(ImagePair, BytesBecomeNumbersAroundZero) {
  ImageSamplesOptions plain = options();
  plain.shuffle = false;
  const at::Tensor images = images_of(samples(plain), 0, {3, 5});
  EXPECT_EQ(images.sizes(), (std::vector<std::int64_t>{2, 1, kHeight, kWidth}));
  EXPECT_EQ(images.scalar_type(), at::kFloat);
  EXPECT_FLOAT_EQ(images[0][0][0][0].item<float>(), 1);
  EXPECT_FLOAT_EQ(images[1][0][1][1].item<float>(), (4 / 255.F - 0.5F) / 0.5F);
  EXPECT_EQ(samples(plain).num_labels(0, 8), 8);
  EXPECT_EQ(samples(plain).seq_length(), kTokens);
}

TEST_F(ImagePair, EpochsHoldEveryImageOnceWithItsClass) {
  const ImageSamples source = samples(options());
  for (const std::int64_t epoch : {0, 1}) {
    const at::Tensor images = images_of(source, epoch * kCount, {0, kCount});
    const at::Tensor classes = classes_of(source, epoch * kCount, {0, kCount});
    std::set<std::int64_t> seen;
    for (int i = 0; i < kCount; ++i) {
      const std::int64_t number = number_of(images[i]);
      seen.insert(number);
      EXPECT_EQ(classes[i].item<std::int64_t>(), number % kClasses);
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(kCount));
  }
  EXPECT_FALSE(
      at::equal(classes_of(source, 0, {0, kCount}), classes_of(source, kCount, {0, kCount})));
}

TEST_F(ImagePair, PartsOfTheSplitShareNoImage) {
  std::set<std::int64_t> seen;
  for (const SplitPart part : {SplitPart::kTrain, SplitPart::kValid, SplitPart::kTest}) {
    ImageSamplesOptions of_part = options("6,3,1");
    of_part.part = part;
    const ImageSamples source = samples(of_part);
    const at::Tensor images = images_of(source, 0, {0, source.size()});
    for (std::int64_t i = 0; i < source.size(); ++i) seen.insert(number_of(images[i]));
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kCount));
}

TEST_F(ImagePair, AugmentationIsAFunctionOfSeedEpochAndImage) {
  ImageSamplesOptions random = options();
  random.transform.crop_padding = 2;
  random.transform.flip = true;
  const ImageSamples source = samples(random);
  const at::Tensor all = images_of(source, 0, {0, kCount});
  // However the samples are divided over ranks and steps.
  EXPECT_TRUE(at::equal(images_of(source, 10, {3, 7}), all.narrow(0, 13, 4)));
  EXPECT_TRUE(at::equal(images_of(samples(random), 0, {0, kCount}), all));
  // The white corner wanders, and every image has at most one.
  std::set<std::int64_t> places;
  for (int i = 0; i < kCount; ++i) {
    const at::Tensor white = all[i].flatten().eq(1).nonzero();
    EXPECT_LE(white.size(0), 1);
    if (white.size(0) == 1) places.insert(white[0].item<std::int64_t>());
  }
  EXPECT_GT(places.size(), 8u);
  random.seed = 5;
  random.shuffle = false;
  ImageSamplesOptions other = random;
  other.seed = 6;
  EXPECT_FALSE(at::equal(images_of(samples(random), 0, {0, kCount}),
                         images_of(samples(other), 0, {0, kCount})));
  EXPECT_FALSE(at::equal(images_of(samples(random), 0, {0, kCount}),
                         images_of(samples(random), kCount, {0, kCount})));
}

TEST_F(ImagePair, PartsOfAnImageAreThoseOfTheWhole) {
  ImageSamplesOptions random = options();
  random.transform.crop_padding = 2;
  const ImageSamples plain = samples(options()), augmented = samples(random);
  const SyntheticImages synthetic(kCount, kImage, kTokens, 3);
  for (const SampleSource* source :
       {static_cast<const SampleSource*>(&plain), static_cast<const SampleSource*>(&augmented),
        static_cast<const SampleSource*>(&synthetic)}) {
    const at::Tensor whole = images_of(*source, 5, {2, 9});
    for (const Range rows : {Range{0, 2}, Range{1, 4}, Range{3, 3}})
      EXPECT_TRUE(at::equal(source->fetch(InputKind::kImages, 5, {2, 9}, rows),
                            whole.narrow(2, rows.begin, rows.size())));
  }
}

TEST_F(ImagePair, OnlyTrainingIsAugmented) {
  ImageSamplesOptions valid = options("0,1");
  valid.part = SplitPart::kValid;
  valid.transform.crop_padding = 2;
  const at::Tensor images = images_of(samples(valid), 0, {0, kCount});
  EXPECT_EQ(images.select(1, 0).select(1, 0).select(1, 0).eq(1).sum().item<std::int64_t>(), kCount);
}

TEST_F(ImagePair, EachChannelHasItsMean) {
  write_npy<float>(prefix_ + ".images.npy", "<f4", {1, 2, 1, 1}, {3, 8});
  write_npy<std::int64_t>(prefix_ + ".labels.npy", "<i8", {1}, {1});
  ImageSamplesOptions own = options();
  own.transform.mean = {1, 2};
  own.transform.std = {2};
  const ImageSamples source(own, {2, 1, 1, kClasses}, kTokens);
  const at::Tensor image = source.fetch(InputKind::kImages, 0, {0, 1}, {0, 1});
  EXPECT_FLOAT_EQ(image[0][0][0][0].item<float>(), 1);
  EXPECT_FLOAT_EQ(image[0][1][0][0].item<float>(), 3);
}

TEST_F(ImagePair, RefusesWhatDoesNotFitInOneSentence) {
  EXPECT_EQ(
      refusal(options(), {3, 32, 32, kClasses}),
      "[data] " + prefix_ +
          ".images.npy holds images of 1 x 4 x 6 (channels x height x "
          "width), the model takes 3 x 32 x 32; prepare them with galvatron-data images in that "
          "size");
  EXPECT_EQ(refusal(options(), {1, kHeight, kWidth, 3}),
            "[data] " + prefix_ +
                ".labels.npy gives image 3 the class 3, the model has classes "
                "0 .. 2; --num-classes auto has as many as the data, and a config says them as "
                "num_labels");
  EXPECT_EQ(refusal(options("0,1")), "[data] --split 0,1 leaves the train part of " + prefix_ +
                                         " empty: there are 40 images");
  ImageSamplesOptions wrong = options();
  wrong.transform.std = {1, 1, 1};
  EXPECT_EQ(refusal(wrong),
            "[data] --image-std has 3 numbers; give one, or one for each of the 1 "
            "channels");
  wrong.transform.std = {0};
  EXPECT_EQ(refusal(wrong), "[data] --image-std 0 must be above 0");
  write_npy<std::int64_t>(prefix_ + ".labels.npy", "<i8", {2}, {0, 1});
  EXPECT_NE(refusal(options()).find("one whole number for each of the 40 images"),
            std::string::npos);
  write_npy<std::int32_t>(prefix_ + ".images.npy", "<i4", {1, 1, 1, 1}, {0});
  EXPECT_NE(refusal(options()).find("images are [N, channels, height, width] of uint8 or float32"),
            std::string::npos);
  EXPECT_NE(refusal({.prefix = folder_ / "none"}).find("cannot open"), std::string::npos);
}

TEST(SyntheticImages, AreAFunctionOfTheSampleAlone) {
  const SyntheticImages source(16, kImage, kTokens, 3);
  const at::Tensor all = images_of(source, 0, {0, 16});
  EXPECT_TRUE(at::equal(images_of(source, 16 + 4, {1, 3}), all.narrow(0, 5, 2)));
  EXPECT_LT(all.abs().max().item<float>(), 1.0001F);
  EXPECT_GT(all.std().item<float>(), 0.4F);
  const at::Tensor classes = classes_of(source, 0, {0, 16});
  EXPECT_GE(classes.min().item<std::int64_t>(), 0);
  EXPECT_LT(classes.max().item<std::int64_t>(), kClasses);
  EXPECT_FALSE(at::equal(all, images_of(SyntheticImages(16, kImage, kTokens, 4), 0, {0, 16})));
}

TEST_F(ImagePair, RandomPartsAreFunctionsOfSeedEpochAndImage) {
  write_image_pair(prefix_, kCount, 17, 23, kClasses);
  ImageSamplesOptions cut = options();
  cut.transform.random_crop = 0.08;
  cut.transform.flip = true;
  const ImageSamples source = samples(cut);
  const at::Tensor epochs = images_of(source, 0, {0, 2 * kCount});
  EXPECT_EQ(epochs.sizes(), (std::vector<std::int64_t>{2 * kCount, 1, kHeight, kWidth}));
  for (const std::int64_t sample : {0, 7, 2 * kCount - 1}) {
    EXPECT_TRUE(at::equal(images_of(samples(cut), sample, {0, 1})[0], epochs[sample]));
    EXPECT_EQ(number_of(epochs[sample]) % kClasses,
              classes_of(source, sample, {0, 1}).item<std::int64_t>());
  }
  EXPECT_GE(epochs.min().item<float>(), -1);
  EXPECT_LE(epochs.max().item<float>(), 1 + 1e-6F);
  ImageSamplesOptions other = cut;
  other.seed = 5;
  EXPECT_FALSE(at::equal(images_of(samples(other), 0, {0, 2 * kCount}), epochs));
}

TEST_F(ImagePair, EvaluationsTakeTheMiddle) {
  write_image_pair(prefix_, kCount, 3 * kHeight, 4 * kWidth, kClasses);
  ImageSamplesOptions cut = options("0,1");
  cut.part = SplitPart::kValid;
  EXPECT_NE(refusal(cut).find("or train on random parts of them (--random-crop 0.08)"),
            std::string::npos);
  cut.transform.random_crop = 0.5;
  cut.shuffle = false;
  const at::Tensor images = images_of(samples(cut), 0, {0, 5});
  EXPECT_EQ(images.sizes(), (std::vector<std::int64_t>{5, 1, kHeight, kWidth}));
  // The white corner lies outside the middle 12 x 18 of 12 x 24 pixels.
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(number_of(images[i]), i);
    EXPECT_NEAR(images[i].max().item<float>(), images[i].min().item<float>(), 1e-6);
  }
}

}  // namespace
}  // namespace galvatron::data
