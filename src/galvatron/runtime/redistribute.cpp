#include "galvatron/runtime/redistribute.h"

#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::runtime {
namespace {

plan::TokenRect overlap(const plan::TokenRect& a, const plan::TokenRect& b) {
  return {intersect(a.samples, b.samples), intersect(a.tokens, b.tokens)};
}

at::Tensor part_of(const at::Tensor& x, const plan::TokenRect& whole, const plan::TokenRect& part) {
  return x.narrow(0, part.samples.begin - whole.samples.begin, part.samples.size())
      .narrow(1, part.tokens.begin - whole.tokens.begin, part.tokens.size());
}

std::int64_t elements(const plan::TokenRect& rect, std::int64_t features) {
  return rect.empty() ? 0 : rect.samples.size() * rect.tokens.size() * features;
}

}  // namespace

at::Tensor redistribute(const at::Tensor& x, const plan::TokenLayout& from,
                        const plan::TokenLayout& to, std::int64_t num_samples,
                        std::int64_t seq_length, const comm::Group& stage) {
  if (from == to) return x;
  const std::int64_t features = x.size(2);
  const auto rect = [&](const plan::TokenLayout& layout, int rank) {
    return layout.rect(rank, num_samples, seq_length);
  };
  const plan::TokenRect have = rect(from, stage.rank()), want = rect(to, stage.rank());
  GALV_CHECK(x.size(0) == have.samples.size() && x.size(1) == have.tokens.size(), "activation of ",
             x.size(0), " x ", x.size(1), " where ", have.samples.size(), " x ", have.tokens.size(),
             " is due");

  std::vector<at::Tensor> outgoing;
  std::vector<std::int64_t> send_sizes, receive_sizes;
  std::int64_t receive_total = 0;
  for (int peer = 0; peer < stage.size(); ++peer) {
    const plan::TokenRect out = overlap(have, rect(to, peer)), in = overlap(want, rect(from, peer));
    send_sizes.push_back(elements(out, features));
    receive_sizes.push_back(elements(in, features));
    receive_total += receive_sizes.back();
    if (!out.empty()) outgoing.push_back(part_of(x, have, out).reshape({-1}));
  }
  const at::Tensor input = outgoing.empty() ? at::empty({0}, x.options()) : at::cat(outgoing);
  at::Tensor received = at::empty({receive_total}, x.options());
  stage.all_to_all(received, input, receive_sizes, send_sizes);

  at::Tensor out = at::empty({want.samples.size(), want.tokens.size(), features}, x.options());
  std::int64_t offset = 0;
  for (int peer = 0; peer < stage.size(); ++peer) {
    const plan::TokenRect in = overlap(want, rect(from, peer));
    if (in.empty()) continue;
    const std::int64_t count = elements(in, features);
    part_of(out, want, in)
        .copy_(received.narrow(0, offset, count)
                   .view({in.samples.size(), in.tokens.size(), features}));
    offset += count;
  }
  return out;
}

}  // namespace galvatron::runtime
