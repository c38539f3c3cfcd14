#include "galvatron/comm/backends/fake/local_backend.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "galvatron/comm/backends/reduce.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

class LocalBackend final : public Group::Backend {
 public:
  using Backend::Backend;

  Pending all_reduce(at::Tensor, Reduction, Mode) override { return {}; }

  Pending all_gather(at::Tensor output, at::Tensor input, Mode) override {
    for (int i = 0; i < size(); ++i)
      copy_raw(flat_slice(output, i * input.numel(), input.numel()), input);
    return {};
  }

  Pending reduce_scatter(at::Tensor output, at::Tensor input, Mode) override {
    copy_raw(output, flat_slice(input, rank() * output.numel(), output.numel()));
    return {};
  }

  Pending all_to_all(at::Tensor output, at::Tensor input, std::vector<std::int64_t> output_sizes,
                     std::vector<std::int64_t> input_sizes, Mode) override {
    std::int64_t to = 0;
    std::int64_t from = 0;
    for (int i = 0; i < size(); ++i) {
      const std::int64_t shared = std::min(output_sizes[i], input_sizes[i]);
      copy_raw(flat_slice(output, to, shared), flat_slice(input, from, shared));
      const at::NoGradGuard no_grad;
      flat_slice(output, to + shared, output_sizes[i] - shared).zero_();
      to += output_sizes[i];
      from += input_sizes[i];
    }
    return {};
  }

  Pending broadcast(at::Tensor, int) override { return {}; }
  Pending send(at::Tensor, int, int) override { return {}; }

  Pending receive(at::Tensor tensor, int, int) override {
    flat_slice(tensor, 0, tensor.numel()).zero_();
    return {};
  }

  void barrier() override {}
  void abort(const std::string&) noexcept override {}
};

class FakeFactory final : public World::Factory {
 public:
  std::shared_ptr<Group::Backend> make(const std::vector<int>& ranks, int rank) override {
    return make_local_backend(ranks, rank);
  }
};

}  // namespace

std::shared_ptr<Group::Backend> make_local_backend(std::vector<int> ranks, int rank) {
  return std::make_shared<LocalBackend>(std::move(ranks), rank);
}

std::shared_ptr<World::Factory> make_fake_factory() { return std::make_shared<FakeFactory>(); }

}  // namespace galvatron::comm
