#include "galvatron/cost/layer_collectives.h"

#include <algorithm>

#include "galvatron/base/logit_rows.h"

namespace galvatron::cost {
namespace {

using profiles::Collective;
using profiles::GroupShape;

class LayerTraffic {
 public:
  LayerTraffic(const CostInputs& inputs, const PipelineShape& shape, int layer,
               const plan::LayerStrategy& strategy, std::int64_t samples)
      : inputs_(inputs),
        spec_(inputs.model.layer(layer)),
        streams_(inputs.model.streams_of(layer)),
        strategy_(strategy),
        tp_{strategy.tp_degree, shape.layout(strategy).tp_line().stride},
        ulysses_{strategy.ulysses_degree, shape.layout(strategy).ulysses_line().stride},
        samples_(local_work(inputs, shape, layer, strategy, samples).samples),
        compute_bytes_(spec::compute_bytes(inputs.job.precision)),
        state_bytes_(spec::state_bytes(inputs.job.precision)) {}

  LayerCollectives all() {
    switch (spec_.kind) {
      case spec::LayerKind::kEmbedding:
        embedding();
        break;
      case spec::LayerKind::kBlock:
        block();
        break;
      case spec::LayerKind::kMerge:
        merge();
        break;
      case spec::LayerKind::kHead:
        takes(spec::InputKind::kClasses) ? image_head() : vocabulary_head();
        break;
    }
    if (strategy_.recompute == plan::Recompute::kFull && spec_.kind != spec::LayerKind::kHead) {
      out_.backward.insert(out_.backward.end(), out_.forward.begin(), out_.forward.end());
    }
    return std::move(out_);
  }

 private:
  using List = std::vector<LayerCollective>;

  bool takes(spec::InputKind kind) const {
    return std::find(spec_.inputs.begin(), spec_.inputs.end(), kind) != spec_.inputs.end();
  }

  void add(List& list, Collective kind, GroupShape group, std::int64_t bytes, int count,
           bool of_tp) const {
    if (group.size == 1 || bytes == 0 || count == 0) return;
    list.push_back({kind, group, bytes, count, of_tp});
  }
  void tp(List& list, Collective kind, std::int64_t bytes, int count = 1) const {
    add(list, kind, tp_, bytes, count, true);
  }
  void ulysses(List& list, Collective kind, std::int64_t bytes, int count = 1) const {
    add(list, kind, ulysses_, bytes, count, false);
  }

  // Of a stream on the fullest rank: tokens inside the TP region, which Ulysses divides.
  std::int64_t region_tokens(std::size_t stream = 0) const {
    return largest_chunk(streams_[stream].length(inputs_.job.seq_length), strategy_.ulysses_degree);
  }
  // Of the region a message of equal parts for every TP rank: shorter parts are padded.
  std::int64_t region_bytes(std::size_t stream = 0) const {
    const std::int64_t part = largest_chunk(region_tokens(stream), strategy_.tp_degree);
    return samples_ * part * strategy_.tp_degree * spec_.shape.hidden_size * compute_bytes_;
  }

  // Each rank looks up its rows of the vocabulary for the whole region. Patches and positions are
  // made by every rank for its own tokens.
  void embedding() {
    if (takes(spec::InputKind::kImages)) return;
    tp(out_.forward, Collective::kReduceScatter, region_bytes());
    tp(out_.backward, Collective::kAllGather, region_bytes());
  }

  // Column-parallel products gather their input, row-parallel ones scatter their output. Backward,
  // gradients of outputs are gathered, those of inputs scattered, and inputs gathered once more for
  // the weights: of them only the local part was kept (Korthikanti et al. 2022, section 4.2.2).
  void block() {
    const bool crosses = spec_.shape.cross_attention;
    const int branches = crosses ? 3 : 2;
    tp(out_.forward, Collective::kAllGather, region_bytes(), branches);
    tp(out_.forward, Collective::kReduceScatter, region_bytes(), branches);
    tp(out_.backward, Collective::kAllGather, region_bytes(), 2 * branches);
    tp(out_.backward, Collective::kReduceScatter, region_bytes(), branches);
    if (crosses) {  // keys and values of the other stream
      tp(out_.forward, Collective::kAllGather, region_bytes(1));
      tp(out_.backward, Collective::kAllGather, region_bytes(1));
      tp(out_.backward, Collective::kReduceScatter, region_bytes(1));
    }
    if (spec_.shape.head_norm == spec::HeadNorm::kTogether) {  // sums of squares
      const std::int64_t squares = samples_ * region_tokens() * state_bytes_;
      tp(out_.forward, Collective::kAllReduce, squares, 2);
      tp(out_.backward, Collective::kAllReduce, squares, 2);
    }
    for (List* list : {&out_.forward, &out_.backward}) ulysses_exchanges(*list);
  }

  // Queries, keys and values one way, the context back (Jacobs et al. 2023); of cross attention
  // the keys and values of the other stream by themselves.
  void ulysses_exchanges(List& list) const {
    const spec::TransformerShape& shape = spec_.shape;
    const auto bytes = [&](std::int64_t heads, std::size_t stream) {
      return samples_ * region_tokens(stream) * heads * shape.head_size * compute_bytes_ /
             strategy_.tp_degree;
    };
    ulysses(list, Collective::kAllToAll, bytes(shape.num_heads + 2 * shape.num_kv_heads, 0));
    ulysses(list, Collective::kAllToAll, bytes(shape.num_heads, 0), shape.cross_attention ? 3 : 1);
    if (shape.cross_attention) ulysses(list, Collective::kAllToAll, bytes(2 * shape.num_heads, 1));
  }

  // Among all ranks that share the sequence, tensor-parallel ones first: of the grid before, which
  // has four tokens, half as wide, for each that the layer makes.
  void merge() {
    const std::int64_t inner = 2 * region_bytes();
    const std::int64_t outer = inner * strategy_.ulysses_degree;
    tp(out_.forward, Collective::kAllGather, inner);
    ulysses(out_.forward, Collective::kAllGather, outer);
    ulysses(out_.backward, Collective::kReduceScatter, outer);
    tp(out_.backward, Collective::kReduceScatter, inner);
  }

  // Per chunk of rows what every rank sees of them: maximum, sum and the label's logit.
  void cross_entropy(std::int64_t rows) {
    const std::int64_t vocab = largest_chunk(spec_.vocab_size(), strategy_.tp_degree);
    const bool on_cpu = inputs_.hardware.device.starts_with("cpu");
    const std::int64_t at_once = std::min(rows, rows_of_logits_at_once(vocab, on_cpu));
    if (at_once == 0) return;
    const auto chunks = static_cast<int>((rows + at_once - 1) / at_once);
    const std::int64_t statistics = 3 * at_once * state_bytes_;
    tp(out_.backward, Collective::kAllGather, strategy_.tp_degree * statistics, chunks);
  }

  void vocabulary_head() {
    tp(out_.backward, Collective::kAllGather, region_bytes());
    cross_entropy(samples_ * region_tokens());
    tp(out_.backward, Collective::kReduceScatter, region_bytes());
  }

  // One token of each sample: the first (ViT), which its ranks hand to each other, or the mean
  // (Swin), which all that share the sequence sum.
  void image_head() {
    const std::int64_t token = samples_ * spec_.shape.hidden_size * compute_bytes_;
    if (inputs_.model.family != spec::Family::kSwin) {
      tp(out_.backward, Collective::kAllGather, token * strategy_.tp_degree);
      tp(out_.backward, Collective::kReduceScatter, token * strategy_.tp_degree);
    } else {
      tp(out_.backward, Collective::kAllReduce, token, 2);
      ulysses(out_.backward, Collective::kAllReduce, token, 2);
    }
    cross_entropy(samples_);
  }

  const CostInputs& inputs_;
  const spec::LayerSpec& spec_;
  const std::vector<spec::StreamSpec>& streams_;
  const plan::LayerStrategy& strategy_;
  GroupShape tp_, ulysses_;
  std::int64_t samples_;
  std::int64_t compute_bytes_, state_bytes_;
  LayerCollectives out_;
};

}  // namespace

LayerCollectives layer_collectives(const CostInputs& inputs, const PipelineShape& shape, int layer,
                                   const plan::LayerStrategy& strategy, std::int64_t samples) {
  return LayerTraffic(inputs, shape, layer, strategy, samples).all();
}

}  // namespace galvatron::cost
