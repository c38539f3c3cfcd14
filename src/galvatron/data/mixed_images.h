// Images that are each mixed of two, and their classes with them: mixup (Zhang et al. 2018) and
// CutMix (Yun et al. 2019), over images of any source.
#pragma once
#include <cstdint>
#include <memory>

#include "galvatron/data/sample_source.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::data {

struct ImageMix {
  // The alpha of the Beta(alpha, alpha) that an image's share is drawn from; 0: not so. With both,
  // either is taken every other time.
  double mixup = 0, cutmix = 0;
  bool any() const { return mixup > 0 || cutmix > 0; }
};

// A part of the other image in an image, or its share of every pixel where that is empty.
struct MixDraw {
  double other_share = 0;  // of the target, and of the pixels
  Range rows, columns;
};

// As torchvision's v2.MixUp and v2.CutMix, but each image draws for itself, as in timm's mode
// "elem": a function of (mix, seed, sample) alone.
MixDraw draw_mix(const ImageMix& mix, std::uint64_t seed, std::int64_t sample, std::int64_t height,
                 std::int64_t width);

// The run's samples 2k and 2k + 1 are mixed with each other, whatever the batches and whoever asks:
// whoever reads one reads both. Where one of the two has no class that counts, neither is mixed.
class MixedImages : public SampleSource {
 public:
  // `images`: of whole images with classes. REQUIRES: mix.any().
  MixedImages(std::unique_ptr<SampleSource> images, const spec::ImageSpec& image,
              const ImageMix& mix, std::uint64_t seed);

  const SampleSource& images() const { return *images_; }

  std::int64_t size() const override { return images_->size(); }
  std::int64_t seq_length() const override { return images_->seq_length(); }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override {
    return kind == spec::InputKind::kSecondClasses || images_->says(kind);
  }
  bool may_be_read_ahead() const override { return images_->may_be_read_ahead(); }
  std::string state(std::int64_t consumed) const override { return images_->state(consumed); }
  void go_on_from(std::int64_t consumed, const std::string& state) const override {
    images_->go_on_from(consumed, state);
  }
  double num_labels(std::int64_t consumed, std::int64_t count) const override {
    return images_->num_labels(consumed, count);
  }

 private:
  // Both of each pair of the samples first .. last - 1 of the run.
  struct Pairs;
  Pairs read_pairs(spec::InputKind kind, std::int64_t consumed, Range run) const;
  at::Tensor mixed(std::int64_t consumed, Range run) const;
  at::Tensor second_classes(std::int64_t consumed, Range run) const;

  std::unique_ptr<SampleSource> images_;
  ImageMix mix_;
  std::uint64_t seed_;
  std::int64_t height_, width_;  // of all images
};

}  // namespace galvatron::data
