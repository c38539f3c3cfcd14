#include "galvatron/data/mixed_images.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <boost/math/special_functions/beta.hpp>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"

namespace galvatron::data {
namespace {

using spec::InputKind;

// A box around a random place with `share` of the image's area, cut off at its borders.
MixDraw cut_box(double share, double down, double across, std::int64_t height, std::int64_t width) {
  const double half = 0.5 * std::sqrt(share);
  const auto side = [half](double place, std::int64_t size) {
    const auto middle = static_cast<std::int64_t>(place * static_cast<double>(size));
    const auto reach = static_cast<std::int64_t>(half * static_cast<double>(size));
    return Range{std::max<std::int64_t>(middle - reach, 0), std::min(middle + reach, size)};
  };
  MixDraw out{0, side(down, height), side(across, width)};
  out.other_share = static_cast<double>(out.rows.size() * out.columns.size()) /
                    static_cast<double>(height * width);
  return out;
}

std::int64_t partner_of(std::int64_t sample) { return sample ^ 1; }

bool counts(const at::Tensor& classes, std::int64_t place) {
  return classes.data_ptr<std::int64_t>()[place] != kIgnoredLabel;
}

}  // namespace

MixDraw draw_mix(const ImageMix& mix, std::uint64_t seed, std::int64_t sample, std::int64_t height,
                 std::int64_t width) {
  std::uint64_t random =
      scramble(scramble(seed ^ 0x6d6978ULL) + static_cast<std::uint64_t>(sample));
  const auto draw = [&random] {  // of [0, 1)
    random = scramble(random);
    return static_cast<double>(random >> 11) * 0x1p-53;
  };
  const bool cuts = mix.mixup > 0 && mix.cutmix > 0 ? draw() < 0.5 : mix.cutmix > 0;
  const double alpha = cuts ? mix.cutmix : mix.mixup;
  const double share = boost::math::ibeta_inv(alpha, alpha, draw());
  if (!cuts) return {share, {}, {}};
  const double down = draw(), across = draw();
  return cut_box(share, down, across, height, width);
}

MixedImages::MixedImages(std::unique_ptr<SampleSource> images, const spec::ImageSpec& image,
                         const ImageMix& mix, std::uint64_t seed)
    : images_(std::move(images)),
      mix_(mix),
      seed_(seed),
      height_(image.height),
      width_(image.width) {
  GALV_CHECK(mix.any(), "nothing to mix");
}

struct MixedImages::Pairs {
  std::int64_t begin = 0;
  at::Tensor rows;
  std::int64_t place(std::int64_t sample) const { return sample - begin; }
};

MixedImages::Pairs MixedImages::read_pairs(InputKind kind, std::int64_t consumed, Range run) const {
  const std::int64_t begin = run.begin - run.begin % 2, end = run.end + run.end % 2;
  const std::int64_t from = std::min(consumed, begin);
  return {begin, images_->fetch(kind, from, {begin - from, end - from}, {0, height_})};
}

at::Tensor MixedImages::mixed(std::int64_t consumed, Range run) const {
  const Pairs images = read_pairs(InputKind::kImages, consumed, run),
              classes = read_pairs(InputKind::kClasses, consumed, run);
  at::Tensor out = images.rows.narrow(0, images.place(run.begin), run.size()).clone();
  for (std::int64_t sample = run.begin; sample < run.end; ++sample) {
    const std::int64_t own = images.place(sample), other = images.place(partner_of(sample));
    if (!counts(classes.rows, own) || !counts(classes.rows, other)) continue;
    const MixDraw drawn = draw_mix(mix_, seed_, sample, height_, width_);
    at::Tensor image = out[sample - run.begin];
    if (drawn.rows.empty() && drawn.columns.empty() && drawn.other_share > 0) {
      image.mul_(1 - drawn.other_share).add_(images.rows[other], drawn.other_share);
      continue;
    }
    const auto part = [&](const at::Tensor& whole) {
      return whole.narrow(1, drawn.rows.begin, drawn.rows.size())
          .narrow(2, drawn.columns.begin, drawn.columns.size());
    };
    part(image).copy_(part(images.rows[other]));
  }
  return out;
}

at::Tensor MixedImages::second_classes(std::int64_t consumed, Range run) const {
  at::Tensor out = at::zeros({run.size(), 2}, at::kDouble);
  if (run.empty()) return out;
  const Pairs classes = read_pairs(InputKind::kClasses, consumed, run);
  for (std::int64_t sample = run.begin; sample < run.end; ++sample) {
    const std::int64_t own = classes.place(sample), other = classes.place(partner_of(sample));
    if (!counts(classes.rows, own) || !counts(classes.rows, other)) continue;
    double* row = out.data_ptr<double>() + 2 * (sample - run.begin);
    row[0] = static_cast<double>(classes.rows.data_ptr<std::int64_t>()[other]);
    row[1] = draw_mix(mix_, seed_, sample, height_, width_).other_share;
  }
  return out;
}

at::Tensor MixedImages::fetch(InputKind kind, std::int64_t consumed, Range samples,
                              Range tokens) const {
  const Range run{consumed + samples.begin, consumed + samples.end};
  if (kind == InputKind::kSecondClasses) return second_classes(consumed, run);
  if (kind == InputKind::kImages && !run.empty()) return mixed(consumed, run);
  return images_->fetch(kind, consumed, samples, tokens);
}

}  // namespace galvatron::data
