#include "galvatron/data/mixed_images.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/data/image_samples.h"

namespace galvatron::data {
namespace {

using spec::InputKind;

constexpr spec::ImageSpec kMixedImage{2, 8, 6, 5};
constexpr std::uint64_t kSeed = 3;

std::unique_ptr<SampleSource> plain() {
  return std::make_unique<SyntheticImages>(1000, kMixedImage, 7, kSeed);
}

MixedImages mixed(const ImageMix& mix) { return {plain(), kMixedImage, mix, kSeed}; }

at::Tensor fetch(const SampleSource& source, InputKind kind, std::int64_t consumed, Range samples) {
  return source.fetch(kind, consumed, samples, {0, kMixedImage.height});
}

TEST(MixedImages, AreWhatTheirDrawsSay) {
  const auto source = plain();
  const Range all{0, 40};
  const at::Tensor images = fetch(*source, InputKind::kImages, 0, all),
                   classes = fetch(*source, InputKind::kClasses, 0, all);
  for (const ImageMix& mix : {ImageMix{0.8, 0}, ImageMix{0, 1}, ImageMix{0.4, 0.7}}) {
    const MixedImages samples = mixed(mix);
    EXPECT_TRUE(samples.says(InputKind::kSecondClasses));
    EXPECT_TRUE(at::equal(fetch(samples, InputKind::kClasses, 0, all), classes));
    const at::Tensor out = fetch(samples, InputKind::kImages, 0, all),
                     second = fetch(samples, InputKind::kSecondClasses, 0, all);
    int blended = 0;
    for (std::int64_t i = 0; i < all.size(); ++i) {
      const MixDraw drawn = draw_mix(mix, kSeed, i, kMixedImage.height, kMixedImage.width);
      const at::Tensor &own = images[i], &other = images[i % 2 == 0 ? i + 1 : i - 1];
      // Which part of each pixel is the other image's.
      at::Tensor part = at::zeros({kMixedImage.height, kMixedImage.width}, at::kDouble);
      if (drawn.rows.empty() && drawn.columns.empty()) {
        part.fill_(drawn.other_share);
        blended += drawn.other_share > 0 ? 1 : 0;
      } else {
        part.slice(0, drawn.rows.begin, drawn.rows.end)
            .slice(1, drawn.columns.begin, drawn.columns.end)
            .fill_(1);
      }
      const at::Tensor expected = (own * (1 - part) + other * part).to(at::kFloat);
      EXPECT_TRUE(at::allclose(out[i], expected, 1e-6, 1e-6)) << i;
      EXPECT_NEAR(second[i][1].item<double>(), part.mean().item<double>(), 1e-12);
      EXPECT_EQ(second[i][0].item<std::int64_t>(),
                classes[i % 2 == 0 ? i + 1 : i - 1].item<std::int64_t>());
    }
    EXPECT_EQ(blended > 0, mix.mixup > 0);
    EXPECT_EQ(blended < 30, mix.cutmix > 0);
  }
}

TEST(MixedImages, DoNotDependOnWhoAsks) {
  const MixedImages samples = mixed({0.4, 0.7});
  for (const InputKind kind : {InputKind::kImages, InputKind::kSecondClasses}) {
    const at::Tensor all = fetch(samples, kind, 0, {0, 30});
    for (const Range part : {Range{0, 1}, Range{1, 2}, Range{3, 8}, Range{5, 5}}) {
      EXPECT_TRUE(at::equal(fetch(samples, kind, 0, part), all.slice(0, part.begin, part.end)));
      EXPECT_TRUE(
          at::equal(fetch(samples, kind, 7, part), all.slice(0, 7 + part.begin, 7 + part.end)));
    }
  }
}

// Of Beta(alpha, alpha): the mean 1/2 and the variance 1 / (8 alpha + 4).
TEST(MixedImages, SharesAreBetaDistributed) {
  for (const double alpha : {0.2, 1.0, 4.0}) {
    const int count = 4000;
    at::Tensor shares = at::empty({count}, at::kDouble);
    for (int i = 0; i < count; ++i)
      shares[i] = draw_mix({alpha, 0}, kSeed, i, kMixedImage.height, kMixedImage.width).other_share;
    EXPECT_NEAR(shares.mean().item<double>(), 0.5, 0.02);
    EXPECT_NEAR(shares.var().item<double>() * (8 * alpha + 4), 1, 0.06) << alpha;
  }
}

// An image without a class of its own teaches nothing, nor does it another one's.
class HalfLabelled : public SyntheticImages {
 public:
  using SyntheticImages::SyntheticImages;
  at::Tensor fetch(InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override {
    at::Tensor out = SyntheticImages::fetch(kind, consumed, samples, tokens);
    for (std::int64_t i = 0; kind == InputKind::kClasses && i < samples.size(); ++i)
      if ((consumed + samples.begin + i) % 4 == 1) out[i] = kIgnoredLabel;
    return out;
  }
};

TEST(MixedImages, LeaveThoseWithoutAClassAlone) {
  const MixedImages samples(std::make_unique<HalfLabelled>(1000, kMixedImage, 7, kSeed),
                            kMixedImage, {1, 0}, kSeed);
  const at::Tensor images = fetch(samples, InputKind::kImages, 0, {0, 4}),
                   alone = fetch(*plain(), InputKind::kImages, 0, {0, 4});
  EXPECT_TRUE(at::equal(images.slice(0, 0, 2), alone.slice(0, 0, 2)));
  EXPECT_FALSE(at::equal(images.slice(0, 2, 4), alone.slice(0, 2, 4)));
  EXPECT_EQ(fetch(samples, InputKind::kSecondClasses, 0, {0, 2}).abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace galvatron::data
