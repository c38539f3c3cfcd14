// Every collective on every in-process backend, group size and dtype, against what a loop computes.
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"

#include "comm/expected.h"

namespace galvatron::comm {
namespace {

using Case = std::tuple<BackendKind, int, at::ScalarType>;

class Collectives : public testing::TestWithParam<Case> {
 protected:
  BackendKind backend() const { return std::get<0>(GetParam()); }
  int size() const { return std::get<1>(GetParam()); }
  at::ScalarType dtype() const { return std::get<2>(GetParam()); }

  // What rank `rank` brings: small and large values, so that the order of summation shows.
  at::Tensor values(int rank, std::int64_t count) const {
    const at::Tensor index = at::arange(count, at::kDouble);
    return ((index * (rank + 1)).sin() * std::pow(10.0, rank % 3)).to(dtype());
  }

  void run(const std::function<void(World&, Group&)>& body) const {
    std::atomic<int> finished = 0;
    run_rank_threads(
        size(),
        [&](World& world) {
          Group group = world.all();
          body(world, group);
          ++finished;
        },
        backend());
    EXPECT_EQ(finished, size());
  }
};

TEST_P(Collectives, AllReduceSumsInRankOrder) {
  // Small ones travel whole, large ones in slices; neither may change a bit.
  run([&](World& world, Group& group) {
    for (const std::int64_t count : {1, 7, 64, 1001, 70'001}) {
      std::vector<at::Tensor> parts;
      for (int r = 0; r < size(); ++r) parts.push_back(values(r, count));
      at::Tensor tensor = parts[world.rank()].clone();
      group.all_reduce(tensor);
      EXPECT_TRUE(at::equal(tensor, sum_in_order(parts))) << count << " elements";
    }
  });
}

TEST_P(Collectives, AllReduceMax) {
  run([&](World& world, Group& group) {
    at::Tensor tensor = values(world.rank(), 33);
    group.all_reduce(tensor, Reduction::kMax);
    at::Tensor expected = values(0, 33);
    for (int r = 1; r < size(); ++r) expected = at::maximum(expected, values(r, 33));
    EXPECT_TRUE(at::equal(tensor, expected));
  });
}

TEST_P(Collectives, AllGatherConcatenates) {
  run([&](World& world, Group& group) {
    std::vector<at::Tensor> parts;
    for (int r = 0; r < size(); ++r) parts.push_back(values(r, 10).view({2, 5}));
    at::Tensor output = at::zeros({2 * size(), 5}, dtype());
    group.all_gather(output, parts[world.rank()]);
    EXPECT_TRUE(at::equal(output, at::cat(parts)));
  });
}

TEST_P(Collectives, AllGatherFromItsOwnSlice) {
  run([&](World& world, Group& group) {
    std::vector<at::Tensor> parts;
    for (int r = 0; r < size(); ++r) parts.push_back(values(r, 10));
    at::Tensor output = at::zeros({10 * size()}, dtype());
    at::Tensor mine = output.narrow(0, 10 * world.rank(), 10);
    mine.copy_(parts[world.rank()]);
    group.all_gather(output, mine);
    EXPECT_TRUE(at::equal(output, at::cat(parts)));
  });
}

TEST_P(Collectives, ReduceScatterIntoItsOwnSlice) {
  run([&](World& world, Group& group) {
    std::vector<at::Tensor> parts;
    for (int r = 0; r < size(); ++r) parts.push_back(values(r, 6 * size()));
    const at::Tensor expected = sum_in_order(parts).narrow(0, 6 * world.rank(), 6);
    at::Tensor output = at::empty({6}, dtype());
    group.reduce_scatter(output, parts[world.rank()]);
    EXPECT_TRUE(at::equal(output, expected));

    at::Tensor input = values(world.rank(), 6 * size());
    at::Tensor slice = input.narrow(0, 6 * world.rank(), 6);
    group.reduce_scatter(slice, input);
    EXPECT_TRUE(at::equal(slice, expected));
  });
}

TEST_P(Collectives, AllToAllWithUnevenSizes) {
  // Rank i sends (i * 3 + j * 5) % 4 elements to rank j: zeros among them.
  const auto count = [](int from, int to) { return std::int64_t{(from * 3 + to * 5) % 4}; };
  run([&](World& world, Group& group) {
    std::vector<std::int64_t> sent, received;
    std::vector<at::Tensor> expected;
    const auto letter = [&](int from, int to) {
      return at::full({count(from, to)}, from * 10 + to, dtype());
    };
    std::vector<at::Tensor> input;
    for (int peer = 0; peer < size(); ++peer) {
      sent.push_back(count(world.rank(), peer));
      received.push_back(count(peer, world.rank()));
      input.push_back(letter(world.rank(), peer));
      expected.push_back(letter(peer, world.rank()));
    }
    at::Tensor output = at::empty({at::cat(expected).numel()}, dtype());
    group.all_to_all(output, at::cat(input), received, sent);
    EXPECT_TRUE(at::equal(output, at::cat(expected)));
  });
}

TEST_P(Collectives, BroadcastFromEveryRoot) {
  run([&](World& world, Group& group) {
    for (int root = 0; root < size(); ++root) {
      at::Tensor tensor = values(world.rank(), 9);
      group.broadcast(tensor, root);
      EXPECT_TRUE(at::equal(tensor, values(root, 9)));
    }
  });
}

TEST_P(Collectives, EmptyTensorsAreFine) {
  run([&](World&, Group& group) {
    at::Tensor nothing = at::empty({0}, dtype());
    group.all_reduce(nothing);
    group.all_gather(nothing, nothing);
    group.reduce_scatter(nothing, nothing);
    const std::vector<std::int64_t> zeros(size(), 0);
    group.all_to_all(nothing, nothing, zeros, zeros);
    group.broadcast(nothing, 0);
    group.barrier();
  });
}

TEST_P(Collectives, SeveralInFlightMayBeWaitedForInAnyOrder) {
  constexpr int kOps = 6;
  constexpr std::int64_t kCount = 20'000;
  run([&](World& world, Group& group) {
    std::vector<at::Tensor> tensors, gathered, scattered;
    std::vector<Pending> pending;
    for (int op = 0; op < kOps; ++op) {
      tensors.push_back(at::full({kCount}, world.rank() + op, dtype()));
      gathered.push_back(at::empty({kCount * size()}, dtype()));
      scattered.push_back(at::empty({2}, dtype()));
      pending.push_back(group.all_reduce_async(tensors.back()));
      pending.push_back(group.all_gather_async(gathered.back(), at::full({kCount}, op, dtype())));
      pending.push_back(
          group.reduce_scatter_async(scattered.back(), at::full({2 * size()}, op, dtype())));
    }
    at::Tensor small = at::ones({3}, dtype());
    group.all_reduce(small);  // a blocking one between them
    EXPECT_EQ(small[0].item<double>(), size());
    // Ranks wait in different orders.
    for (std::size_t i = 0; i < pending.size(); ++i) {
      pending[world.rank() % 2 ? i : pending.size() - 1 - i].wait();
    }
    for (int op = 0; op < kOps; ++op) {
      EXPECT_EQ(tensors[op][kCount - 1].item<double>(), size() * (size() - 1) / 2 + op * size());
      EXPECT_EQ(gathered[op][kCount * size() - 1].item<double>(), op);
      EXPECT_EQ(scattered[op][1].item<double>(), op * size());
    }
  });
}

TEST_P(Collectives, SendAndReceiveCrosswise) {
  if (size() == 1) return;
  // Everybody sends to both neighbours first and receives afterwards, as a pipeline stage in 1F1B
  // does.
  run([&](World& world, Group& group) {
    const int right = (world.rank() + 1) % size();
    const int left = (world.rank() + size() - 1) % size();
    for (int m = 0; m < 5; ++m) {
      at::Tensor forward = at::full({5000}, world.rank() * 10 + m, dtype());
      group.send(forward, right, /*tag=*/2 * m).wait();
      group.send(forward * 2, left, /*tag=*/2 * m + 1).wait();
      forward.zero_();  // what was sent is not touched by this
    }
    for (int m = 4; m >= 0; --m) {  // tags are asked for in another order than sent
      at::Tensor from_left = at::empty({5000}, dtype());
      at::Tensor from_right = at::empty({5000}, dtype());
      Pending a = group.receive(from_left, left, 2 * m);
      Pending b = group.receive(from_right, right, 2 * m + 1);
      a.wait();
      b.wait();
      EXPECT_EQ(from_left[4999].item<double>(), left * 10 + m);
      EXPECT_EQ(from_right[0].item<double>(), (right * 10 + m) * 2);
    }
  });
}

TEST_P(Collectives, EqualTagsArriveInOrder) {
  if (size() == 1) return;
  run([&](World& world, Group& group) {
    if (world.rank() == 0) {
      for (int m = 0; m < 8; ++m) group.send(at::full({3}, m, dtype()), 1, 7).wait();
    } else if (world.rank() == 1) {
      std::vector<at::Tensor> letters(8);
      std::vector<Pending> pending;
      for (at::Tensor& letter : letters) {
        letter = at::empty({3}, dtype());
        pending.push_back(group.receive(letter, 0, 7));
      }
      for (int m = 7; m >= 0; --m) pending[m].wait();
      for (int m = 0; m < 8; ++m) EXPECT_EQ(letters[m][2].item<double>(), m);
    }
    group.barrier();
  });
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const auto& [backend, size, dtype] = info.param;
  return std::string(backend == BackendKind::kThreads ? "threads" : "gloo") + "_" +
         std::to_string(size) + "_" + c10::toString(dtype);
}

INSTANTIATE_TEST_SUITE_P(Threads, Collectives,
                         testing::Combine(testing::Values(BackendKind::kThreads),
                                          testing::Values(1, 2, 3, 4, 8),
                                          testing::Values(at::kDouble, at::kFloat, at::kBFloat16)),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Gloo, Collectives,
                         testing::Combine(testing::Values(BackendKind::kGloo),
                                          testing::Values(1, 2, 3, 4, 8),
                                          testing::Values(at::kDouble, at::kFloat, at::kBFloat16)),
                         case_name);

}  // namespace
}  // namespace galvatron::comm
