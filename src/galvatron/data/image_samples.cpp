#include "galvatron/data/image_samples.h"

#include <algorithm>

#include <fmt/format.h>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"
#include "galvatron/data/random_crop.h"

namespace galvatron::data {
namespace {

std::string size_text(std::int64_t channels, std::int64_t height, std::int64_t width) {
  return fmt::format("{} x {} x {}", channels, height, width);
}

Range choose_part(const NpyArray& images, const ImageSamplesOptions& options) {
  const SplitWeights weights = parse_split(options.split);
  const std::int64_t count = images.shape().empty() ? 0 : images.shape()[0];
  const Range part = split_ranges(count, weights).at(static_cast<std::size_t>(options.part));
  if (!part.empty()) return part;
  throw ConfigError("[data] --split ", options.split, " leaves the ", to_text(options.part),
                    " part of ", options.prefix, " empty: there are ", count, " images");
}

// [C, 1, 1] from one number for each channel, or one for all.
at::Tensor channel_numbers(const std::vector<double>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return at::tensor(values, at::kDouble).to(at::kFloat).view({count, 1, 1});
}

void check_transform(const ImageTransform& transform, const spec::ImageSpec& image) {
  for (const auto* values : {&transform.mean, &transform.std}) {
    const auto count = static_cast<std::int64_t>(values->size());
    if (count == 1 || count == image.channels) continue;
    throw ConfigError("[data] ", values == &transform.mean ? "--image-mean" : "--image-std",
                      " has ", count, " numbers; give one, or one for each of the ", image.channels,
                      " channels");
  }
  for (const double std : transform.std) {
    if (!(std > 0)) throw ConfigError("[data] --image-std ", std, " must be above 0");
  }
}

at::Tensor rows(Range samples, const auto& value) {
  at::Tensor out = at::empty({samples.size()}, at::kLong);
  for (std::int64_t i = 0; i < samples.size(); ++i) {
    out.data_ptr<std::int64_t>()[i] = value(samples.begin + i);
  }
  return out;
}

// Whole images by each of the rank's threads, as many at least as one operation is divided for.
at::Tensor stack(Range samples, std::vector<std::int64_t> shape_CHW, const auto& value) {
  const std::int64_t pixels = std::max<std::int64_t>(1, shape_CHW[0] * shape_CHW[1] * shape_CHW[2]);
  shape_CHW.insert(shape_CHW.begin(), samples.size());
  at::Tensor out = at::empty(shape_CHW, at::kFloat);
  const std::int64_t least = std::max<std::int64_t>(1, at::internal::GRAIN_SIZE / pixels);
  at::parallel_for(0, samples.size(), least, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) out[i].copy_(value(samples.begin + i));
  });
  return out;
}

}  // namespace

ImageSamples::ImageSamples(const ImageSamplesOptions& options, const spec::ImageSpec& image,
                           std::int64_t seq_length)
    : prefix_(options.prefix),
      images_(options.prefix + ".images.npy"),
      labels_(options.prefix + ".labels.npy"),
      transform_(options.transform),
      height_(image.height),
      width_(image.width),
      augments_(options.part == SplitPart::kTrain),
      order_{choose_part(images_, options), options.shuffle, options.seed},
      seq_length_(seq_length) {
  check_transform(transform_, image);
  check_images(image);
  check_labels(image);
}

void ImageSamples::check_images(const spec::ImageSpec& image) const {
  const std::vector<std::int64_t>& shape = images_.shape();
  const bool known = images_.type() == at::kByte || images_.type() == at::kFloat;
  if (shape.size() != 4 || !known) {
    throw ConfigError("[data] ", images_.path().string(), " has ", shape.size(), " dimensions of ",
                      c10::toString(images_.type()),
                      "; images are [N, channels, height, width] of uint8 or float32");
  }
  if (shape[1] == image.channels && shape[2] == image.height && shape[3] == image.width) return;
  const bool is_of_other_size = shape[1] == image.channels && shape[2] > 0 && shape[3] > 0;
  if (is_of_other_size && transform_.random_crop > 0) return;
  throw ConfigError(
      "[data] ", images_.path().string(), " holds images of ",
      size_text(shape[1], shape[2], shape[3]), " (channels x height x width), the model takes ",
      size_text(image.channels, image.height, image.width),
      "; prepare them with galvatron-data images in that size",
      is_of_other_size ? ", or train on random parts of them (--random-crop 0.08)" : "");
}

void ImageSamples::check_labels(const spec::ImageSpec& image) const {
  const std::vector<std::int64_t>& shape = labels_.shape();
  const bool known = labels_.type() != at::kFloat;
  if (shape.size() != 1 || shape[0] != images_.shape()[0] || !known) {
    throw ConfigError("[data] ", labels_.path().string(), " must hold one whole number for each ",
                      "of the ", images_.shape()[0], " images of ", images_.path().string());
  }
  const at::Tensor labels = labels_.view().to(at::kLong);
  const at::Tensor wrong = labels.lt(0).logical_or_(labels.ge(image.num_classes)).nonzero();
  if (wrong.size(0) == 0) return;
  const auto first = wrong[0].item<std::int64_t>();
  throw ConfigError("[data] ", labels_.path().string(), " gives image ", first, " the class ",
                    labels[first].item<std::int64_t>(), ", the model has classes 0 .. ",
                    image.num_classes - 1,
                    "; --num-classes auto has as many as the data, and a config says them as "
                    "num_labels");
}

at::Tensor ImageSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                               Range rows_of_pixels) const {
  const Range run{consumed + samples.begin, consumed + samples.end};
  if (kind == spec::InputKind::kClasses) {
    const at::Tensor labels = labels_.view();
    return rows(run, [&](std::int64_t sample) {
      return labels[order_.index_in_file(sample)].item().toLong();
    });
  }
  GALV_CHECK(kind == spec::InputKind::kImages, "image samples have images and classes");
  const std::vector<std::int64_t>& shape = images_.shape();
  const at::Tensor mean = channel_numbers(transform_.mean), std = channel_numbers(transform_.std);
  return stack(run, {shape[1], rows_of_pixels.size(), width_}, [&](std::int64_t sample) {
    return load(sample, rows_of_pixels).sub(mean).div_(std);
  });
}

// Pixels in [0, 1].
at::Tensor ImageSamples::load(std::int64_t sample, Range rows) const {
  at::Tensor stored = images_.view()[order_.index_in_file(sample)];
  const bool stays = !changes();
  if (stays) stored = stored.narrow(1, rows.begin, rows.size());
  at::Tensor image = stored.to(at::kFloat);
  if (images_.type() == at::kByte) image = image.div(255);
  if (stays) return image;
  image = augments_ ? augment(image, sample) : fit(image);
  return image.narrow(1, rows.begin, rows.size());
}

// Has an image another size, or other pixels, than it is stored with?
bool ImageSamples::changes() const {
  const std::vector<std::int64_t>& shape = images_.shape();
  const bool is_augmented =
      augments_ && (transform_.random_crop > 0 || transform_.flip || transform_.crop_padding > 0);
  return is_augmented || shape[2] != height_ || shape[3] != width_;
}

at::Tensor ImageSamples::augment(const at::Tensor& image_CHW, std::int64_t sample) const {
  const auto epoch = static_cast<std::uint64_t>(order_.epoch_of(sample));
  const auto index = static_cast<std::uint64_t>(order_.index_in_file(sample));
  const std::uint64_t key = scramble(order_.seed ^ 0x696d616765ULL);
  std::uint64_t random = scramble(scramble(key + epoch) + index);
  const auto draw = [&](std::int64_t count) {  // one of 0 .. count - 1
    random = scramble(random);
    return static_cast<std::int64_t>(random % static_cast<std::uint64_t>(count));
  };
  const auto draw_share = [&] {  // of [0, 1)
    random = scramble(random);
    return static_cast<double>(random >> 11) * 0x1p-53;
  };
  at::Tensor image = image_CHW;
  if (transform_.random_crop > 0) {
    const CropWindow window =
        random_window(image.size(1), image.size(2), transform_.random_crop, draw_share);
    image = scaled_part(image, window, height_, width_);
  }
  if (transform_.crop_padding > 0) {
    const std::int64_t p = transform_.crop_padding;
    const at::Tensor padded = at::constant_pad_nd(image, {p, p, p, p});
    const std::int64_t top = draw(2 * p + 1), left = draw(2 * p + 1);
    image = padded.narrow(1, top, image.size(1)).narrow(2, left, image.size(2));
  }
  return transform_.flip && draw(2) == 1 ? image.flip({2}) : image;
}

at::Tensor ImageSamples::fit(const at::Tensor& image_CHW) const {
  const std::int64_t height = image_CHW.size(1), width = image_CHW.size(2);
  if (height == height_ && width == width_) return image_CHW;
  return scaled_part(image_CHW, middle_window(height, width, height_, width_), height_, width_);
}

double ImageSamples::num_labels(std::int64_t, std::int64_t count) const {
  return static_cast<double>(count);
}

SyntheticImages::SyntheticImages(std::int64_t size, const spec::ImageSpec& image,
                                 std::int64_t seq_length, std::uint64_t seed)
    : size_(size), image_(image), seq_length_(seq_length), seed_(seed) {
  GALV_CHECK(size > 0 && image.num_classes > 0, size, " images of ", image.num_classes, " classes");
}

at::Tensor SyntheticImages::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                  Range rows_of_pixels) const {
  const Range run{consumed + samples.begin, consumed + samples.end};
  const auto key = [&](std::int64_t sample) {
    return scramble(scramble(seed_) ^ static_cast<std::uint64_t>(sample % size_));
  };
  if (kind == spec::InputKind::kClasses) {
    return rows(run, [&](std::int64_t sample) {
      return static_cast<std::int64_t>(scramble(key(sample)) %
                                       static_cast<std::uint64_t>(image_.num_classes));
    });
  }
  GALV_CHECK(kind == spec::InputKind::kImages, "image samples have images and classes");
  const std::int64_t height = rows_of_pixels.size(), width = image_.width;
  return stack(run, {image_.channels, height, width}, [&](std::int64_t sample) {
    at::Tensor image = at::empty({image_.channels, height, width}, at::kFloat);
    float* pixel = image.data_ptr<float>();
    for (std::int64_t channel = 0; channel < image_.channels; ++channel) {
      const std::int64_t begin = (channel * image_.height + rows_of_pixels.begin) * width;
      for (std::int64_t i = begin; i < begin + height * width; ++i) {
        const std::uint64_t word = scramble(key(sample) + 1 + static_cast<std::uint64_t>(i));
        *pixel++ = static_cast<float>(word >> 40) * 0x1p-23F - 1;  // in [-1, 1)
      }
    }
    return image;
  });
}

double SyntheticImages::num_labels(std::int64_t, std::int64_t count) const {
  return static_cast<double>(count);
}

}  // namespace galvatron::data
