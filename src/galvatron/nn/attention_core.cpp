#include "galvatron/nn/attention_core.h"

#include <algorithm>
#include <limits>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/blocked_attention.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/tables.h"

namespace galvatron::nn {
namespace {

at::Tensor repeat_heads(const at::Tensor& x, std::int64_t times) {
  return times == 1 ? x : x.repeat_interleave(times, 1);
}

const Document* find_document(const std::vector<Document>& documents, std::int64_t id) {
  const auto found = std::ranges::find(documents, id, &Document::id);
  return found == documents.end() ? nullptr : &*found;
}

// [B, 1, Q, K]: true where a query and a key are not of one document. Padding, which has no keys of
// its own elsewhere, sees everything, so that no row of the softmax is empty.
at::Tensor other_documents(const DocumentPair& pair, std::int64_t queries, std::int64_t keys) {
  const auto batch = static_cast<std::int64_t>(pair.queries->size());
  at::Tensor hidden = at::zeros({batch, 1, queries, keys}, at::kBool);
  for (std::int64_t sample = 0; sample < batch; ++sample) {
    const auto& seen = (*pair.keys)[static_cast<std::size_t>(sample)];
    for (const Document& document : (*pair.queries)[static_cast<std::size_t>(sample)]) {
      const Document* own = find_document(seen, document.id);
      if (own == nullptr) continue;
      const at::Tensor rows =
          hidden[sample][0].narrow(0, document.tokens.begin, document.tokens.size());
      rows.fill_(true);
      rows.narrow(1, own->tokens.begin, own->tokens.size()).fill_(false);
    }
  }
  return hidden;
}

// Where a kernel that drops by itself takes its numbers from.
struct KernelDropout {
  double p = 0;
  std::uint64_t seed = 0;
};

// Accelerators drop in the kernel. Its numbers belong to places in the tensors of this call, so the
// masks are those of the samples and heads that are here together: unlike all else that is random,
// they depend on the plan. Where torch is to be deterministic all is written out, and they do not.
bool kernel_drops(const at::Tensor& q) {
  return !q.is_cpu() && !at::globalContext().deterministicAlgorithms();
}

KernelDropout kernel_dropout(const AttentionCore& core, const LayerCall& call) {
  if (!core.dropout.active(call)) return {};
  const auto place =
      static_cast<std::uint64_t>(call.first_sample * core.num_heads + core.heads.begin);
  return {core.dropout.p, scramble(core.dropout.key ^ scramble(place))};
}

// In one kernel; `mask` is true where a query sees a key, or added to the scores, or undefined.
at::Tensor fused_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& mask, bool causal, double scale,
                           const KernelDropout& dropout) {
  const std::int64_t repeat = q.size(1) / k.size(1);
  const auto optional_mask = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  // On CUDA only the half-precision kernels know grouped heads, and none of them with a mask; the
  // fallback would build the score matrix.
  const bool spread =
      repeat > 1 && q.is_cuda() && (q.scalar_type() == at::kFloat || mask.defined());
  if (dropout.p > 0)
    at::Generator(at::globalContext().defaultGenerator(q.device())).set_current_seed(dropout.seed);
  return at::scaled_dot_product_attention(
      q, spread ? repeat_heads(k, repeat) : k, spread ? repeat_heads(v, repeat) : v, optional_mask,
      dropout.p, causal, scale, /*enable_gqa=*/repeat > 1 && !spread);
}

// [B, n, begin .. begin + blocks * size, D] -> [B * blocks, n, size, D].
at::Tensor fold_blocks(const at::Tensor& x, std::int64_t begin, std::int64_t blocks,
                       std::int64_t size) {
  return x.narrow(2, begin, blocks * size)
      .unflatten(2, {blocks, size})
      .transpose(1, 2)
      .flatten(0, 1);
}

// The blocks of twice that size which begin with each: [B, n, L, D] -> [B * blocks, n, 2 size, D].
at::Tensor fold_pairs(const at::Tensor& x, std::int64_t blocks, std::int64_t size) {
  return x.narrow(2, 0, (blocks + 1) * size)
      .unfold(2, 2 * size, size)  // [B, n, blocks, D, 2 size]
      .transpose(1, 2)
      .flatten(0, 1)
      .transpose(2, 3);
}

// Queries in blocks as long as the window: the first block is causal attention, every other one
// meets its own keys and those of the block before, behind one mask. So no more is computed than
// two windows for a query, and no mask of the whole sequence exists.
at::Tensor sliding_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const AttentionCore& core, const LayerCall& call) {
  const std::int64_t window = core.sliding_window, length = q.size(2);
  const std::int64_t blocks = length / window - 1, rest = length % window;
  KernelDropout dropout = kernel_dropout(core, call);
  // Row i is the query `window + i` of the keys' columns.
  const at::Tensor mask =
      table(call, {TableKind::kSlidingMask, {static_cast<double>(window)}}, 0, [&](std::int64_t) {
        const at::Tensor all = at::ones({window, 2 * window}, q.options().dtype(at::kBool));
        return all.tril(window).logical_and(all.triu(1));
      });
  std::vector<at::Tensor> parts = {fused_attention(q.narrow(2, 0, window), k.narrow(2, 0, window),
                                                   v.narrow(2, 0, window), {},
                                                   /*causal=*/true, core.scale, dropout)};
  dropout.seed = scramble(dropout.seed);  // of other places
  if (blocks > 0) {
    const at::Tensor middle =
        fused_attention(fold_blocks(q, window, blocks, window), fold_pairs(k, blocks, window),
                        fold_pairs(v, blocks, window), mask, /*causal=*/false, core.scale, dropout);
    parts.push_back(middle.unflatten(0, {q.size(0), blocks}).transpose(1, 2).flatten(2, 3));
  }
  if (rest > 0) {
    const std::int64_t first = length - rest, key = first - window, keys = window + rest;
    dropout.seed = scramble(dropout.seed);
    parts.push_back(fused_attention(
        q.narrow(2, first, rest), k.narrow(2, key, keys), v.narrow(2, key, keys),
        mask.narrow(0, 0, rest).narrow(1, 0, keys), /*causal=*/false, core.scale, dropout));
  }
  return at::cat(parts, 2);
}

// Rows lie as [q heads | k heads | v heads]; rank i must get its share of each. Regroup to [rank][q
// | k | v] so that equal chunks of the head dimension are whole parts.
at::Tensor regroup(const at::Tensor& x_BTND, const std::vector<std::int64_t>& segments, int u) {
  const std::int64_t batch = x_BTND.size(0), tokens = x_BTND.size(1), head_size = x_BTND.size(3);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : x_BTND.split_with_sizes(segments, 2)) {
    parts.push_back(part.reshape({batch, tokens, u, part.size(2) / u, head_size}));
  }
  return at::cat(parts, 3).view({batch, tokens, x_BTND.size(2), head_size});
}

}  // namespace

at::Tensor fused_to_heads(const at::Tensor& x_BTND, const std::vector<std::int64_t>& segments,
                          const comm::Group& ulysses, const std::vector<std::int64_t>& sizes) {
  if (ulysses.size() == 1) return x_BTND;
  return sequence_to_heads(regroup(x_BTND, segments, ulysses.size()), ulysses, sizes);
}

namespace {

// A zero that keeps all of them in the graph.
at::Tensor nothing_of(const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  const at::Tensor nothing = k.narrow(-1, 0, 0).sum() + v.narrow(-1, 0, 0).sum();
  return bias.defined() ? nothing + bias.narrow(-1, 0, 0).sum() : nothing;
}

// With the padding between them, as documents of id 0.
std::vector<Document> with_padding(const std::vector<Document>& documents, std::int64_t length) {
  std::vector<Document> out;
  std::int64_t end = 0;
  const auto pad_to = [&](std::int64_t begin) {
    if (begin > end) out.push_back({0, {end, begin}});
  };
  for (const Document& document : documents) {
    pad_to(document.tokens.begin);
    out.push_back(document);
    end = document.tokens.end;
  }
  pad_to(length);
  return out;
}

std::vector<at::Tensor> split_tokens(const at::Tensor& x, const std::vector<Document>& pieces) {
  std::vector<std::int64_t> sizes;
  for (const Document& piece : pieces) sizes.push_back(piece.tokens.size());
  return x.split_with_sizes(sizes, 2);
}

// Of one sample, one document after another.
at::Tensor attend_in_sample(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& bias, const AttentionCore& core,
                            const LayerCall& call, const std::vector<Document>& queries,
                            const std::vector<Document>& keys) {
  const std::vector<Document> asking = with_padding(queries, q.size(2)),
                              seen = with_padding(keys, k.size(2));
  const std::vector<at::Tensor> q_parts = split_tokens(q, asking), k_parts = split_tokens(k, seen),
                                v_parts = split_tokens(v, seen);
  std::vector<at::Tensor> out;
  bool attended = false;
  for (std::size_t i = 0; i < asking.size(); ++i) {
    const Document& document = asking[i];
    const Document* own = document.id > 0 ? find_document(seen, document.id) : nullptr;
    if (own == nullptr) {
      out.push_back(q_parts[i] * 0);
      continue;
    }
    attended = true;
    const auto j = static_cast<std::size_t>(own - seen.data());
    const Range rows = document.tokens, columns = own->tokens;
    const at::Tensor part_of_bias =
        !bias.defined()
            ? bias
            : bias.narrow(2, rows.begin, rows.size()).narrow(3, columns.begin, columns.size());
    out.push_back(attend(q_parts[i], k_parts[j], v_parts[j], part_of_bias, core, call));
  }
  const at::Tensor all = at::cat(out, 2);
  return attended ? all : all + nothing_of(k, v, bias);
}

// So that no more is computed than each document needs, and no mask exists.
at::Tensor attend_by_document(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& bias, const AttentionCore& core,
                              const LayerCall& call, const DocumentPair& documents) {
  const std::vector<at::Tensor> q_rows = q.split(1), k_rows = k.split(1), v_rows = v.split(1);
  std::vector<at::Tensor> out;
  for (std::size_t i = 0; i < q_rows.size(); ++i) {
    out.push_back(attend_in_sample(q_rows[i], k_rows[i], v_rows[i], bias, core, call,
                                   (*documents.queries)[i], (*documents.keys)[i]));
  }
  return at::cat(out, 0);
}

// Every sample a document as long as the sequence: nothing is hidden.
bool are_whole(const std::shared_ptr<const Documents>& documents, std::int64_t length) {
  return !documents || std::ranges::all_of(*documents, [&](const std::vector<Document>& sample) {
    return sample.size() == 1 && sample[0].tokens == Range{0, length};
  });
}

// No kernel caps scores; the CPU's neither drops nor gives a gradient to a bias.
bool is_written_out(const at::Tensor& q, const at::Tensor& bias, const AttentionCore& core,
                    const LayerCall& call) {
  if (core.softcap > 0) return true;
  if (core.dropout.active(call) && !kernel_drops(q)) return true;
  if (!bias.defined()) return false;
  if (core.sliding_window > 0 && core.sliding_window < q.size(2)) return true;
  return q.is_cpu() && (core.causal || (at::GradMode::is_enabled() && bias.requires_grad()));
}

// [B or 1, n, Q, K]: what lies ahead of a query is never seen.
at::Tensor causal_bias(const at::Tensor& bias, std::int64_t queries, std::int64_t keys) {
  const at::Tensor ahead = at::ones({queries, keys}, bias.options().dtype(at::kBool)).triu(1);
  return bias.masked_fill(ahead, -std::numeric_limits<double>::infinity());
}

}  // namespace

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const at::Tensor& bias, const AttentionCore& core, const LayerCall& call,
                  const DocumentPair& documents) {
  if (q.size(0) == 0) return q * nothing_of(k, v, bias);
  const bool drops = core.dropout.active(call);
  if (!are_whole(documents.queries, q.size(2)) || !are_whole(documents.keys, k.size(2))) {
    if (!drops) return attend_by_document(q, k, v, bias, core, call, documents);
    const at::Tensor hidden = other_documents(documents, q.size(2), k.size(2)).to(q.device());
    return blocked_attention(q, k, v, bias, hidden, core, call);
  }
  if (is_written_out(q, bias, core, call)) return blocked_attention(q, k, v, bias, {}, core, call);
  if (core.sliding_window > 0 && core.sliding_window < q.size(2))
    return sliding_attention(q, k, v, core, call);
  // torch refuses a causal mask beside a bias.
  const bool joins = core.causal && bias.defined();
  return fused_attention(q, k, v, joins ? causal_bias(bias, q.size(2), k.size(2)) : bias,
                         core.causal && !joins, core.scale, kernel_dropout(core, call));
}

}  // namespace galvatron::nn
