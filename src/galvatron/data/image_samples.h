// Images with a class each: a pair of array files, and images made of arithmetic.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/data/epoch_order.h"
#include "galvatron/data/npy_array.h"
#include "galvatron/data/sample_source.h"
#include "galvatron/data/split.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::data {

// What happens to an image on its way to the model. Bytes become numbers in [0, 1]; floats are
// taken as they are. Then (pixel - mean) / std.
struct ImageTransform {
  std::vector<double> mean = {0.5}, std = {0.5};  // of each channel, or one for all
  // For training alone, both drawn from (seed, epoch, image): black borders of so many pixels, of
  // which a random part of the image's size is cut; and a mirrored image every other time.
  std::int64_t crop_padding = 0;
  bool flip = false;
  // Images of any size: training takes random parts of at least this share of their area, scaled to
  // the model's size, evaluations the middle; 0: images have the model's size.
  double random_crop = 0;
};

struct ImageSamplesOptions {
  // PREFIX.images.npy [N, channels, height, width], uint8 or float32, and PREFIX.labels.npy [N].
  std::string prefix;
  std::string split = "969,30,1";  // see split.h
  SplitPart part = SplitPart::kTrain;
  bool shuffle = true;
  std::uint64_t seed = 1234;
  ImageTransform transform = {};
};

class ImageSamples : public SampleSource {
 public:
  // `seq_length`: tokens that an image becomes. ConfigError when the files are damaged, do not
  // belong together, hold images of another size than the model's, labels that are none of its
  // classes, or leave this part of the split empty.
  ImageSamples(const ImageSamplesOptions& options, const spec::ImageSpec& image,
               std::int64_t seq_length);

  std::int64_t size() const override { return order_.part.size(); }
  std::int64_t seq_length() const override { return seq_length_; }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  double num_labels(std::int64_t consumed, std::int64_t count) const override;

 private:
  void check_images(const spec::ImageSpec& image) const;
  void check_labels(const spec::ImageSpec& image) const;
  at::Tensor load(std::int64_t sample, Range rows) const;
  bool changes() const;
  at::Tensor augment(const at::Tensor& image_CHW, std::int64_t sample) const;
  at::Tensor fit(const at::Tensor& image_CHW) const;

  std::string prefix_;
  NpyArray images_, labels_;
  ImageTransform transform_;
  std::int64_t height_, width_;  // the model's
  bool augments_;
  EpochOrder order_;
  std::int64_t seq_length_;
};

// Noise and classes that are a function of (seed, sample) alone; every epoch repeats the same ones.
class SyntheticImages : public SampleSource {
 public:
  SyntheticImages(std::int64_t size, const spec::ImageSpec& image, std::int64_t seq_length,
                  std::uint64_t seed);

  std::int64_t size() const override { return size_; }
  std::int64_t seq_length() const override { return seq_length_; }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  double num_labels(std::int64_t consumed, std::int64_t count) const override;

 private:
  std::int64_t size_;
  spec::ImageSpec image_;
  std::int64_t seq_length_;
  std::uint64_t seed_;
};

}  // namespace galvatron::data
