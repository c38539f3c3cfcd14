#include "galvatron/runtime/logits_exchange.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::runtime {

LogitsExchange::LogitsExchange(const spec::ModelSpec& model, const plan::Plan& plan,
                               std::int64_t seq_length, const std::vector<Range>& wanted)
    : model_(model), plan_(plan), seq_length_(seq_length), wanted_(wanted) {
  GALV_CHECK(wanted.size() == static_cast<std::size_t>(plan.world_size), wanted.size(),
             " wishes of ", plan.world_size, " ranks");
}

std::int64_t LogitsExchange::num_tokens() const {
  return of_images() ? 1 : model_.streams_of(model_.num_layers() - 1)[0].length(seq_length_);
}

std::vector<LogitsExchange::Box> LogitsExchange::boxes(int rank) const {
  const int last = model_.num_layers() - 1;
  if (plan_.pp_rank_of(rank) != plan_.pipeline.pp_rank_of_stage(plan_.stage_of_layer(last)))
    return {};
  const plan::RankLayout layout = plan_.layout(last);
  const plan::RankCoordinates place = layout.coordinates(rank);
  const bool has_none = of_images() && place.ulysses_rank > 0;  // the first has them all
  std::vector<Box> out;
  for (int m = 0; m < plan_.num_microbatches; ++m) {
    const Range of_batch = plan_.samples_of_microbatch(m);
    plan::TokenRect rect = layout.block_rect(rank, of_batch.size(), num_tokens());
    if (of_images()) rect.tokens = {0, has_none ? 0 : 1};
    out.push_back({{of_batch.begin + rect.samples.begin, of_batch.begin + rect.samples.end},
                   rect.tokens,
                   chunk(num_columns(), layout.strategy().tp_degree, place.tp_rank)});
  }
  return out;
}

std::int64_t LogitsExchange::traffic(int from, int to) const {
  std::int64_t out = 0;
  for (Box box : boxes(from)) {
    box.samples = intersect(box.samples, wanted(to));
    out += box.numel();
  }
  return out;
}

at::Tensor LogitsExchange::pack(const std::vector<at::Tensor>& mine,
                                const at::TensorOptions& options, int rank) const {
  const std::vector<Box> have = boxes(rank);
  GALV_CHECK(have.size() == mine.size(), mine.size(), " microbatches' logits on rank ", rank,
             ", not ", have.size());
  std::vector<at::Tensor> out{at::empty({0}, options)};
  for (int to = 0; to < plan_.world_size; ++to) {
    for (std::size_t m = 0; m < have.size(); ++m) {
      const Range samples = intersect(have[m].samples, wanted(to));
      if (samples.empty() || have[m].numel() == 0) continue;
      out.push_back(
          mine[m].narrow(0, samples.begin - have[m].samples.begin, samples.size()).reshape({-1}));
    }
  }
  return at::cat(out);
}

at::Tensor LogitsExchange::unpack(const at::Tensor& received, int rank) const {
  const Range mine = wanted(rank);
  at::Tensor whole = at::empty({mine.size(), num_tokens(), num_columns()}, received.options());
  std::int64_t offset = 0;
  for (int from = 0; from < plan_.world_size; ++from) {
    for (const Box& box : boxes(from)) {
      const Range samples = intersect(box.samples, mine);
      if (samples.empty() || box.numel() == 0) continue;
      const std::int64_t size = samples.size() * box.tokens.size() * box.columns.size();
      whole.narrow(0, samples.begin - mine.begin, samples.size())
          .narrow(1, box.tokens.begin, box.tokens.size())
          .narrow(2, box.columns.begin, box.columns.size())
          .copy_(received.narrow(0, offset, size)
                     .view({samples.size(), box.tokens.size(), box.columns.size()}));
      offset += size;
    }
  }
  return of_images() ? whole.squeeze(1) : whole;
}

at::Tensor LogitsExchange::bring(const std::vector<at::Tensor>& mine, comm::World& world) const {
  const at::NoGradGuard no_grad;
  const int rank = world.rank();
  std::vector<std::int64_t> out_sizes, in_sizes;
  for (int other = 0; other < plan_.world_size; ++other) {
    in_sizes.push_back(traffic(rank, other));
    out_sizes.push_back(traffic(other, rank));
  }
  const auto options =
      at::TensorOptions().dtype(compute_scalar_type(plan_.precision)).device(world.device());
  std::int64_t total = 0;
  for (const std::int64_t size : out_sizes) total += size;
  at::Tensor received = at::empty({total}, options);
  world.all().all_to_all(received, pack(mine, options, rank), out_sizes, in_sizes);
  return unpack(received, rank);
}

}  // namespace galvatron::runtime
