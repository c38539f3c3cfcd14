// Swin for image classification as transformers' SwinConfig describes it: stages of windowed
// blocks, patches merged between them.
#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/image_config.h"

namespace galvatron::spec {
namespace {

constexpr std::int64_t kMaxStages = 16, kMaxWindow = 1 << 10;
// Of the norms behind the patch projection and of the merges: torch's default, whatever
// layer_norm_eps says.
constexpr double kPatchNormEpsilon = 1e-5;

std::vector<std::int64_t> get_counts(JsonReader& reader, const std::string& key,
                                     std::vector<std::int64_t> fallback, std::int64_t max) {
  if (!reader.has(key)) return fallback;
  const Json& value = reader.get_array(key);
  std::vector<std::int64_t> counts;
  for (const Json& count : value) {
    if (!count.is_number_integer() || count < 1 || count > max) {
      throw ConfigError("[model] ", reader.source(), ": ", key, " is ", value.dump(),
                        "; its entries must be whole numbers in 1 .. ", max);
    }
    counts.push_back(count.get<std::int64_t>());
  }
  if (counts.empty() || static_cast<std::int64_t>(counts.size()) > kMaxStages) {
    throw ConfigError("[model] ", reader.source(), ": ", key, " has ", counts.size(),
                      " entries, outside 1 .. ", kMaxStages);
  }
  return counts;
}

struct SwinConfig {
  ImageConfig image;
  std::vector<std::int64_t> depths, num_heads;  // of each stage
  std::int64_t embed_dim = 0;
  std::int64_t window = 0;
  double mlp_ratio = 0;
  double drop_path = 0;  // of the last block; the first has 0, between them it grows evenly
  double stddev = 0;
  bool absolute_positions = false;
  TransformerShape shape;  // what all blocks have in common
};

SwinConfig read_swin_settings(JsonReader& reader) {
  SwinConfig config;
  config.image = read_image_config(reader, 224, 4);
  config.depths = get_counts(reader, "depths", {2, 2, 6, 2}, kMaxBlocks);
  config.num_heads = get_counts(reader, "num_heads", {3, 6, 12, 24}, kMaxWidth);
  if (config.depths.size() != config.num_heads.size()) {
    throw ConfigError("[model] ", reader.source(), ": depths names ", config.depths.size(),
                      " stages, num_heads ", config.num_heads.size(), "; both need one entry each");
  }
  config.embed_dim = reader.get_int_or("embed_dim", 96, 1, kMaxWidth);
  if (config.embed_dim << (config.depths.size() - 1) > kMaxWidth) {
    throw ConfigError("[model] ", reader.source(), ": embed_dim ", config.embed_dim, " doubled in ",
                      config.depths.size(), " stages is more than ", kMaxWidth);
  }
  config.window = reader.get_int_or("window_size", 7, 1, kMaxWindow);
  config.mlp_ratio = reader.get_number_or("mlp_ratio", 4, 1e-3, 1e3);
  config.drop_path = reader.get_number_or("drop_path_rate", 0.1, 0, 0.999);
  config.stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.absolute_positions = reader.get_bool_or("use_absolute_embeddings", false);
  read_image_block(reader, 1e-5, config.shape);
  return config;
}

std::int64_t halved(std::int64_t side) { return (side + 1) / 2; }

// Makes the layers in their order, keeping where in the image the next one stands.
class SwinMaker {
 public:
  SwinMaker(const SwinConfig& config, std::string source)
      : config_(config), source_(std::move(source)), width_(config.embed_dim) {
    const ImageConfig& image = config.image;
    // Images are padded to whole patches.
    rows_ = (image.image.height + image.patch_height - 1) / image.patch_height;
    columns_ = (image.image.width + image.patch_width - 1) / image.patch_width;
  }

  std::vector<LayerSpec> make() {
    add_embedding();
    for (std::size_t stage = 0; stage < config_.depths.size(); ++stage) {
      if (stage > 0) add_merge(stage);
      for (std::int64_t i = 0; i < config_.depths[stage]; ++i) add_block(stage, i);
    }
    TransformerShape shape = config_.shape;
    shape.hidden_size = width_;
    layers_.push_back(image_head(config_.image, shape, config_.stddev));
    return std::move(layers_);
  }

  std::int64_t num_patches() const { return rows_ * columns_; }

 private:
  StreamSpec stream() const { return {StreamSpec::Length::kFixed, num_patches(), width_}; }

  TransformerShape patch_shape() const {
    TransformerShape shape = config_.shape;
    shape.hidden_size = width_;
    shape.norm_epsilon = kPatchNormEpsilon;
    shape.window = {rows_, columns_};
    return shape;
  }

  void add_embedding() {
    LayerMaker maker(LayerKind::kEmbedding, "embedding", patch_shape(), config_.stddev);
    maker.takes(InputKind::kImages);
    maker.makes(stream());
    add_patch_projection(maker, config_.image, config_.stddev);
    maker.norm("patch_norm");
    if (config_.absolute_positions) {
      require_whole_patches();
      maker.add({"positions", {1, num_patches(), width_}, {}, {InitKind::kZeros}, true, {}});
    }
    layers_.push_back(maker.take());
  }

  void require_whole_patches() const {
    const ImageConfig& image = config_.image;
    if (image.image.height % image.patch_height + image.image.width % image.patch_width == 0)
      return;
    throw ConfigError("[model] ", source_, ": use_absolute_embeddings needs images of whole ",
                      "patches, but ", image.image.height, " x ", image.image.width,
                      " is no multiple of ", image.patch_height, " x ", image.patch_width);
  }

  void add_block(std::size_t stage, std::int64_t index) {
    const TransformerShape shape = block_shape(stage, index);
    LayerMaker maker(LayerKind::kBlock, "block." + std::to_string(num_blocks_), shape,
                     config_.stddev);
    maker.makes(stream());
    maker.transformer_block(config_.stddev);
    const std::int64_t offsets = 2 * config_.window - 1;
    maker.add({"attention.window_bias",
               {offsets * offsets, shape.num_heads},
               {1, {shape.num_heads}, 1},
               {InitKind::kZeros},
               true,
               {}});
    std::int64_t all_blocks = 0;
    for (const std::int64_t depth : config_.depths) all_blocks += depth;
    maker.layer().drop_path = config_.drop_path * static_cast<double>(num_blocks_) /
                              static_cast<double>(std::max<std::int64_t>(all_blocks - 1, 1));
    layers_.push_back(maker.take());
    ++num_blocks_;
  }

  TransformerShape block_shape(std::size_t stage, std::int64_t index) const {
    TransformerShape shape = config_.shape;
    shape.hidden_size = width_;
    shape.num_heads = shape.num_kv_heads = config_.num_heads[stage];
    if (width_ % shape.num_heads != 0) {
      throw ConfigError("[model] ", source_, ": the width ", width_, " of stage ", stage + 1,
                        " is not a multiple of its num_heads ", shape.num_heads);
    }
    shape.head_size = width_ / shape.num_heads;
    shape.intermediate_size =
        static_cast<std::int64_t>(config_.mlp_ratio * static_cast<double>(width_));
    if (shape.intermediate_size < 1) {
      throw ConfigError("[model] ", source_, ": mlp_ratio ", config_.mlp_ratio, " of width ",
                        width_, " leaves nothing");
    }
    const std::int64_t shorter = std::min(rows_, columns_);
    // transformers would cut smaller windows, which its table of biases does not fit.
    if (shorter < config_.window) {
      throw ConfigError("[model] ", source_, ": window_size ", config_.window,
                        " is more than the grid of ", rows_, " x ", columns_, " tokens of stage ",
                        stage + 1, "; use windows of at most ", shorter, " or larger images");
    }
    const bool shifted = index % 2 == 1 && shorter > config_.window;
    shape.window = {rows_, columns_, config_.window, shifted ? config_.window / 2 : 0};
    return shape;
  }

  // Two by two tokens become one of twice their width.
  void add_merge(std::size_t stage) {
    TransformerShape shape = patch_shape();  // the grid that comes in
    shape.hidden_size = 2 * width_;
    LayerMaker maker(LayerKind::kMerge, "merge." + std::to_string(stage - 1), shape,
                     config_.stddev);
    maker.norm("merged_norm", 4 * width_);
    maker.whole_linear("reduction", 2 * width_, 4 * width_, /*bias=*/false);
    rows_ = halved(rows_);
    columns_ = halved(columns_);
    width_ *= 2;
    maker.makes(stream());
    layers_.push_back(maker.take());
  }

  const SwinConfig& config_;
  std::string source_;
  std::int64_t rows_ = 0, columns_ = 0, width_ = 0;
  std::int64_t num_blocks_ = 0;
  std::vector<LayerSpec> layers_;
};

}  // namespace

ModelSpec swin_model(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  const SwinConfig config = read_swin_settings(reader);
  SwinMaker maker(config, source);
  const std::int64_t patches = maker.num_patches();
  return image_model(Family::kSwin, config.image, patches, maker.make());
}

}  // namespace galvatron::spec
