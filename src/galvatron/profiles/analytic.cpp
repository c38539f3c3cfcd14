#include "galvatron/profiles/analytic.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/base/logit_rows.h"
#include "galvatron/base/score_blocks.h"

namespace galvatron::profiles {
namespace {

// Everything below counts for one rank of a TP group. n: tokens at the border (split over TP), N:
// tokens inside the TP region, E: bytes of one element.
struct Shape {
  const spec::TransformerShape& layer;
  const DeviceSpec& device;
  double samples = 0;
  double seq = 0;      // of the layer's own sequence
  double context = 0;  // of the second stream, T5's encoder output
  double tp = 1;
  double E = 4;     // compute precision
  double wide = 4;  // statistics, softmax, loss: at least fp32
  double attended_share = 1;
  bool on_cpu() const { return device.name.starts_with("cpu"); }
  double N() const { return samples * seq; }
  double n() const { return N() / tp; }
  double H() const { return static_cast<double>(layer.hidden_size); }
  double query() const { return static_cast<double>(layer.num_heads * layer.head_size) / tp; }
  double kv() const { return static_cast<double>(layer.num_kv_heads * layer.head_size) / tp; }
  double inner() const { return static_cast<double>(layer.intermediate_size) / tp; }
  bool slides(double length) const {
    return layer.sliding_window > 0 && static_cast<double>(layer.sliding_window) < length;
  }
  // Of a sequence of `length` tokens what its documents attend over. Attention that drops has
  // documents as a mask over whole samples.
  double attended(double length) const {
    return layer.attention_dropout > 0 ? length : attended_share * length;
  }
  // Keys that a fused kernel computes for a query: nn's blocks of a sliding window meet two each,
  // but for the first.
  double keys() const {
    const double length = attended(seq), seen = spec::keys_seen(layer, length);
    if (!slides(length)) return seen;
    const auto window = static_cast<double>(layer.sliding_window);
    return 2 * window - 1.5 * window * window / length;
  }
  // Scores that exist for a query of `length` tokens: the causal half is computed all the same.
  double scores(double length) const {
    return layer.window.size > 0 ? spec::keys_seen(layer, length) : length;
  }
  // Of whole samples: one of them may be a single document.
  double scores() const { return scores(seq); }
  double heads() const { return static_cast<double>(layer.num_heads) / tp; }
  // That exist at a time.
  double block_of_scores() const {
    if (!blocked()) return 0;
    return std::min(N() * heads() * scores(), static_cast<double>(scores_at_once(on_cpu())));
  }

  // No fused kernel caps scores, and few drop probabilities or give a gradient to a bias: in the
  // data sheets' times the scores are written.
  bool writes_scores() const {
    return layer.attention_dropout > 0 || layer.attention_softcap > 0 ||
           layer.relative_bias.num_buckets > 0 || layer.window.size > 0;
  }
  // Nor do those of a CPU: there nn/ writes a block of queries' scores at a time, and again in the
  // backward.
  bool blocked() const { return layer.attention_softcap > 0 || (on_cpu() && writes_scores()); }
  // FLOPs of large products that take as long as (m, k) x (k, n).
  double product(double m, double n, double k) const {
    const double half = device.kernels.matmul_half;
    return 2 * m * n * k * (1 + half / m) * (1 + half / n) * (1 + half / k);
  }
  // FLOPs over long sequences and many heads that take as long as a fused kernel's forward with
  // `keys` a query; few heads and tokens leave a part of the device idle, in each of the two
  // directions another one.
  double fused_attention(double keys) const {
    return 4 * N() * keys * query() * (1 + device.kernels.attention_half_keys / keys);
  }
  double idle(double half_tokens) const {
    return half_tokens > 0 && heads() > 0 ? 1 + half_tokens / (N() * heads()) : 1;
  }
};

struct Work {
  double products = 0;   // forward, FLOPs of large products that take as long
  double attention = 0;  // likewise, of the fused kernel; not in `products`
  double traffic = 0;    // forward, element-wise bytes
  double backward_traffic = 0;
  // What selective recomputation repeats: of products and traffic, beside all of `attention`.
  double core_products = 0, core_traffic = 0;
  double exchanged = 0;  // bytes that Ulysses packs and unpacks, each read and written
  double activation = 0;
  double activation_selective = 0;
  double forward_workspace = 0;
  double backward_workspace = 0;
};

// FLOPs of a fused attention kernel's backward over its forward's: five products for two.
constexpr double kFusedBackward = 2.5;

double local_parameters(const spec::LayerSpec& layer, int tp_degree) {
  double total = 0;
  for (const spec::ParamSpec& param : layer.params) {
    total += static_cast<double>(param.numel()) / (param.split.divided() ? tp_degree : 1);
  }
  return total;
}

// What the attention core keeps beside its input qkv and its result.
double core_saved(const Shape& s) {
  double bytes = s.N() * s.heads() * s.wide;  // log-sum-exp
  if (!s.layer.rope.inverse_frequencies.empty())
    bytes += s.N() * (s.query() + s.kv()) * s.E;  // rotated q and k
  // Blocks of q and their results, pairs of blocks of k and v.
  if (s.slides(s.seq) && !s.writes_scores()) bytes += s.N() * (2 * s.query() + 4 * s.kv()) * s.E;
  // What is added to the scores, made for all samples' windows where a mask differs between them.
  if (s.layer.relative_bias.num_buckets > 0) bytes += s.heads() * s.scores() * s.scores() * s.E;
  if (s.layer.window.size > 0)
    bytes += (s.layer.window.shift > 0 ? s.N() : s.scores()) * s.heads() * s.scores() * s.E;
  return bytes;
}

// The core, without the projections around it.
void add_attention(const Shape& s, double keys, Work& w) {
  if (!s.writes_scores()) {
    w.attention = s.fused_attention(keys);
    return;
  }
  // Whole squares of scores, a product of each head; they are written, masked and made
  // probabilities, dropped and read again: 12 bytes for a score of 2.
  const double side = s.scores(s.attended(s.seq));
  const auto head_size = static_cast<double>(s.layer.head_size);
  w.core_products = 2 * s.N() / side * s.heads() * s.product(side, side, head_size);
  const double passes = s.layer.attention_softcap > 0 ? 12 : 6;  // the cap is three functions
  w.core_traffic = passes * s.E * s.N() * s.heads() * side;
  w.products += w.core_products;
}

// Saved tensors of nn/: both norms keep their input's statistics; column-parallel linears keep
// their local input; row-parallel ones theirs. The layer's own input is counted by cost/.
Work block_work(const Shape& s, double parameters) {
  Work w;
  const double statistics = (s.layer.norm == spec::Norm::kLayerNorm ? 2 : 1) * s.wide;
  // Behind the branches a second pair of norms keeps what the branches made; branches side by side
  // have no sum between them.
  const double pairs = s.layer.norm_place == spec::NormPlace::kAround ? 2 : 1;
  const double rows = 2 * pairs + (s.layer.parallel_residual ? 0 : 1);
  const double dropouts = s.layer.residual_dropout > 0 ? 2 : 0;
  const double up = s.layer.gated_mlp ? 2 * s.inner() : s.inner();
  // silu(gate) * up is one function of ours; other gates keep act(gate) too.
  const bool fused = !s.layer.gated_mlp || s.layer.activation == spec::Activation::kSilu;
  const double mlp = up + (fused ? 1 : 2) * s.inner();
  const double qkv = s.query() + 2 * s.kv();

  w.products = s.product(s.N(), qkv, s.H()) + s.product(s.N(), s.H(), s.query()) +
               s.product(s.N(), up, s.H()) + s.product(s.N(), s.H(), s.inner());
  add_attention(s, s.keys(), w);
  if (s.layer.cross_attention) {
    w.products += s.product(s.N(), s.query(), s.H()) + s.product(s.N(), s.H(), s.query()) +
                  s.product(s.samples * s.context, 2 * s.kv(), s.H());
    w.attention += s.fused_attention(s.attended(s.context));
  }
  w.exchanged = s.E * s.N() * (qkv + s.query());
  if (s.layer.cross_attention)
    w.exchanged += s.E * (s.N() * 2 * s.query() + s.samples * s.context * 2 * s.kv());
  const bool rotates = !s.layer.rope.inverse_frequencies.empty();
  w.traffic = w.core_traffic + s.E * ((6 + 4 * pairs) * s.n() * s.H() + s.N() * (up + s.inner()) +
                                      (rotates ? 4 * s.N() * (s.query() + s.kv()) : 0));
  w.backward_traffic = 2 * w.traffic;
  // Either way: read, written, and on an accelerator a byte of mask.
  const double dropped = dropouts * s.n() * s.H() * (2 * s.E + (s.on_cpu() ? 0 : 1));
  w.traffic += dropped;
  w.backward_traffic += dropped;

  const double outside = s.n() * (rows * s.H() * s.E + 2 * pairs * statistics);
  w.activation_selective = outside + s.N() * (qkv + s.query() + mlp) * s.E;
  // Before and behind its norms, which make a copy.
  if (s.layer.head_norm != spec::HeadNorm::kNone) w.activation_selective += s.N() * qkv * s.E;
  w.activation = w.activation_selective + core_saved(s);

  const double whole = s.tp > 1 ? s.N() * s.H() * s.E : 0;  // gathered input, unreduced output
  w.forward_workspace = 2 * s.n() * s.H() * s.E + 2 * whole + s.block_of_scores() * (s.wide + s.E);
  // The backward needs most either in the MLP, when everything saved is still there, or at its end,
  // when all weight gradients are.
  const double mlp_gradients = (s.layer.gated_mlp ? 4 : 1) * s.inner() * s.N() * s.E;
  const double early =
      mlp_gradients + s.E * s.inner() * s.H() + 2 * s.n() * s.H() * s.E + 2 * whole;
  const double late = s.E * parameters + 3 * s.n() * s.H() * s.E - w.activation;
  w.backward_workspace = std::max(early, late) + s.block_of_scores() * 2 * (s.wide + s.E);
  return w;
}

// Patches: a rank makes its own tokens from whole images and keeps the pixels of its patches.
Work patches_work(const Shape& s, double pixels, double parameters) {
  Work w;
  const double patches = s.n() * pixels * s.E, rows = s.n() * s.H() * s.E;
  w.products = s.product(s.n(), s.H(), pixels);
  w.traffic = 2 * patches + 3 * rows;
  w.backward_traffic = 2 * w.traffic;
  w.activation = w.activation_selective = patches + rows;
  w.forward_workspace = patches + 2 * rows;
  w.backward_workspace = s.E * parameters + 2 * rows;
  return w;
}

Work embedding_work(const Shape& s, double parameters) {
  Work w;
  const double rows = s.N() * s.H() * s.E;
  w.traffic = 2 * rows + 2 * s.n() * s.H() * s.E;
  w.backward_traffic = 2 * rows + s.E * parameters;   // the dense gradient is zeroed first
  w.activation = w.activation_selective = s.N() * 8;  // token ids
  w.forward_workspace = rows + s.n() * s.H() * s.E;
  w.backward_workspace = s.E * parameters + rows;
  return w;
}

// Of images: one row of logits for a sample, not for a token.
bool tells_classes(const spec::LayerSpec& layer) {
  return layer.inputs == std::vector{spec::InputKind::kClasses};
}

// Not all logits exist at a time; their gradients are made in the forward. Nothing is kept: the
// runtime runs the head inside its backward step.
Work head_work(const Shape& s, const spec::LayerSpec& layer, double parameters) {
  Work w;
  const double vocab = static_cast<double>(layer.vocab_size()) / s.tp;
  const double rows = tells_classes(layer) ? s.samples : s.N();
  const auto most = static_cast<double>(logits_at_once(s.on_cpu()));
  const double at_once = std::max(most, kFewestLogitRows * vocab);
  const double logits = std::min(rows * vocab, at_once);
  const bool mixed = s.wide != s.E;
  w.products = s.product(rows, vocab, s.H());
  // Passes over the logits (nn/cross_entropy.cpp): made wide, their maximum, shifted, exponentials,
  // sum, made gradients, made narrow. A third of it is the forward's, as of the products.
  w.traffic = rows * vocab * (8 * s.wide + (mixed ? 2 * (s.E + s.wide) : 0)) / 3;
  w.backward_traffic = 2 * w.traffic;
  const double hidden = (s.n() + (s.tp > 1 ? 1 : 0) * s.N()) * s.H() * s.E;  // normed, gathered
  const double slopes = s.layer.logit_softcap > 0 ? s.wide : 0;
  w.forward_workspace = hidden + logits * (s.wide + slopes + (mixed ? s.E : 0));
  w.backward_workspace = w.forward_workspace + s.N() * s.H() * s.E + s.wide * parameters;
  return w;
}

// Patch merging: four tokens, concatenated and normalised, become one of twice their width.
Work merge_work(const Shape& s, double parameters) {
  Work w;
  const double out = s.n() * s.H() * s.E, gathered = 2 * s.N() * s.H() * s.E;
  // The reduction alone: four widths of H / 2 come in, H goes out.
  w.products = s.product(s.n(), s.H(), 2 * s.H());
  w.traffic = gathered + 6 * out;
  w.backward_traffic = 2 * w.traffic;
  w.activation = w.activation_selective = 4 * out + 2 * s.n() * s.wide;
  w.forward_workspace = gathered + 4 * out;
  w.backward_workspace = gathered + 4 * out + s.E * parameters;
  return w;
}

// Numbers that the projection of one patch reads.
double pixels_of_patch(const spec::LayerSpec& layer) {
  double pixels = 0;
  for (const spec::ParamSpec& param : layer.params) {
    if (param.multiplies_tokens)
      pixels += static_cast<double>(param.numel() / layer.shape.hidden_size);
  }
  return pixels;
}

Work work_of(const spec::LayerSpec& layer, const Shape& shape, double parameters) {
  switch (layer.kind) {
    case spec::LayerKind::kEmbedding:
      if (layer.inputs == std::vector{spec::InputKind::kImages}) {
        return patches_work(shape, pixels_of_patch(layer), parameters);
      }
      return embedding_work(shape, parameters);
    case spec::LayerKind::kMerge:
      return merge_work(shape, parameters);
    case spec::LayerKind::kBlock:
      return block_work(shape, parameters);
    case spec::LayerKind::kHead:
      return head_work(shape, layer, parameters);
  }
  GALV_CHECK(false, "unknown layer kind");
  return {};
}

}  // namespace

LayerMeasurement analytic_layer(const spec::LayerSpec& layer, const spec::ModelSpec& model,
                                std::int64_t seq_length, spec::Precision precision,
                                const DeviceSpec& device, int tp_degree, double samples,
                                double attended_share) {
  const std::vector<spec::StreamSpec>& streams =
      layer.outputs.empty() ? model.inputs_of(model.num_layers() - 1) : layer.outputs;
  const auto length = [&](std::size_t stream) {
    return stream < streams.size() ? static_cast<double>(streams[stream].length(seq_length)) : 0.0;
  };
  const KernelRates& kernels = device.kernels;
  const Shape shape{layer.shape,
                    device,
                    samples,
                    length(0),
                    length(1),
                    static_cast<double>(tp_degree),
                    static_cast<double>(spec::compute_bytes(precision)),
                    static_cast<double>(spec::state_bytes(precision)),
                    attended_share};
  const Work work = work_of(layer, shape, local_parameters(layer, tp_degree));
  const double flops_per_ms = device.flops_per_ms * device.matmul_efficiency;
  const auto time = [&](double products, double traffic) {
    return products / (flops_per_ms * kernels.matmul) +
           traffic / (device.memory_bytes_per_ms * kernels.memory);
  };
  const double attention = work.attention * shape.idle(kernels.attention_half_tokens) /
                           (flops_per_ms * kernels.attention_forward);
  const double attention_backward = kFusedBackward * work.attention *
                                    shape.idle(kernels.attention_half_tokens_backward) /
                                    (flops_per_ms * kernels.attention_backward);
  // To gradients so far; what TP does not divide is too little to be counted apart.
  const double adding =
      static_cast<double>(layer.num_params()) / tp_degree * (shape.E + 2 * shape.wide);
  LayerMeasurement out;
  out.tp_degree = tp_degree;
  out.samples = samples;
  out.forward = {time(work.products, work.traffic) + attention + device.overhead_ms};
  const double again =
      shape.blocked() ? work.core_products / 2 : 0;  // scores, before their gradient
  out.backward = {time(2 * work.products + again, work.backward_traffic + adding) +
                  attention_backward + device.overhead_ms};
  out.selective_recompute = {time(work.core_products, work.core_traffic) + attention};
  out.ulysses_forward = out.ulysses_backward = {time(0, 4 * work.exchanged)};
  out.activation = whole_bytes(work.activation);
  out.activation_selective = whole_bytes(work.activation_selective);
  out.forward_workspace = whole_bytes(work.forward_workspace);
  out.backward_workspace = whole_bytes(work.backward_workspace);
  return out;
}

ModelProfile analytic_model_profile(const spec::ModelSpec& model, std::int64_t seq_length,
                                    spec::Precision precision, const DeviceSpec& device,
                                    double attended_share) {
  ModelProfile out;
  out.provenance.note = "computed from the model's shapes for " + device.name;
  out.model = model.name;
  out.seq_length = seq_length;
  out.precision = precision;
  out.device = device.name;
  const std::vector<std::string> names = model.type_names();
  for (int type = 0; type < static_cast<int>(names.size()); ++type) {
    const auto& layer = model.layer(model.first_layer_of_type(type));
    out.types.push_back({names[static_cast<std::size_t>(type)],
                         {layer.num_params() * spec::compute_bytes(precision)},
                         {analytic_layer(layer, model, seq_length, precision, device, 1, 1)}});
  }
  out.prepare_analytic(model, device, attended_share);
  return out;
}

HardwareProfile analytic_hardware_profile(const spec::ClusterSpec& cluster,
                                          const DeviceSpec& device, const NetworkSpec& network) {
  HardwareProfile out;
  out.provenance.note = "from the data sheet of " + cluster.name;
  out.device = device.name;
  out.world_size = cluster.world_size();
  out.ranks_per_node = cluster.devices_per_node;
  out.device_memory = cluster.device_memory;
  out.memory_reserve = network.memory_reserve;
  out.overlap_slowdown = network.overlap_slowdown;
  out.tp_overlap = network.tp_overlap;
  out.gather_overlap = network.gather_overlap;
  const double optimizer_bytes = 4.0 * spec::default_optimizer().words();  // of fp32
  out.optimizer_ns_per_element = optimizer_bytes / device.memory_bytes_per_ms * 1e6;
  out.links = {{"intra_node", network.intra_node}, {"inter_node", network.inter_node}};
  return out;
}

}  // namespace galvatron::profiles
