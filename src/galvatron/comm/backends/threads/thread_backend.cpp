#include "galvatron/comm/backends/threads/thread_backend.h"

#include <functional>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/reduce.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

at::Tensor copied(const at::Tensor& tensor) {
  at::Tensor copy = at::empty(tensor.sizes(), tensor.options());
  copy_raw(copy, tensor);
  return copy;
}

class DeferredState : public Pending::State {
 public:
  explicit DeferredState(std::function<void()> work) : work_(std::move(work)) {}
  void wait() override { work_(); }

 private:
  std::function<void()> work_;
};

Pending deferred(std::function<void()> work) {
  return Pending(std::make_shared<DeferredState>(std::move(work)));
}

std::int64_t sum_before(const std::vector<std::int64_t>& sizes, int index) {
  std::int64_t sum = 0;
  for (int i = 0; i < index; ++i) sum += sizes[i];
  return sum;
}

class ThreadBackend final : public Group::Backend {
 public:
  ThreadBackend(std::shared_ptr<ThreadHall> hall, std::vector<int> ranks, int rank)
      : Backend(std::move(ranks), rank),
        hall_(std::move(hall)),
        room_(hall_->room(this->ranks())) {}

  Pending all_reduce(at::Tensor tensor, Reduction reduction, Mode) override {
    const auto finish = [reduction](ThreadMeeting& meeting) {
      meeting.result = at::empty_like(meeting.inputs[0]);
      reduce_in_order(meeting.result, meeting.inputs, reduction);
    };
    const char* name = reduction == Reduction::kSum ? "all_reduce sum" : "all_reduce max";
    return meet({name, tensor.scalar_type(), tensor.numel()}, copied(tensor), finish,
                [tensor](ThreadMeeting& meeting) { copy_raw(tensor, meeting.result); });
  }

  Pending all_gather(at::Tensor output, at::Tensor input, Mode) override {
    return meet({"all_gather", input.scalar_type(), input.numel()}, copied(input), nullptr,
                [output](ThreadMeeting& meeting) {
                  const std::int64_t size = meeting.inputs[0].numel();
                  for (std::size_t i = 0; i < meeting.inputs.size(); ++i) {
                    copy_raw(flat_slice(output, static_cast<std::int64_t>(i) * size, size),
                             meeting.inputs[i]);
                  }
                });
  }

  Pending reduce_scatter(at::Tensor output, at::Tensor input, Mode) override {
    return meet({"reduce_scatter", input.scalar_type(), input.numel()}, copied(input), nullptr,
                [output, rank = rank()](ThreadMeeting& meeting) {
                  std::vector<at::Tensor> parts;
                  for (const at::Tensor& part : meeting.inputs) {
                    parts.push_back(flat_slice(part, rank * output.numel(), output.numel()));
                  }
                  at::Tensor target = output;
                  reduce_in_order(target, parts, Reduction::kSum);
                });
  }

  Pending all_to_all(at::Tensor output, at::Tensor input, std::vector<std::int64_t> output_sizes,
                     std::vector<std::int64_t> input_sizes, Mode) override {
    ThreadHall::Room::Visit visit =
        next_visit({"all_to_all", input.scalar_type(), 0}, copied(input));
    visit.output_sizes = output_sizes;
    visit.input_sizes = std::move(input_sizes);
    return meet(
        std::move(visit), nullptr, [output, output_sizes, rank = rank()](ThreadMeeting& meeting) {
          for (std::size_t from = 0; from < output_sizes.size(); ++from) {
            const std::int64_t offset = sum_before(meeting.input_sizes[from], rank);
            const int source = static_cast<int>(from);
            copy_raw(flat_slice(output, sum_before(output_sizes, source), output_sizes[from]),
                     flat_slice(meeting.inputs[from], offset, output_sizes[from]));
          }
        });
  }

  Pending broadcast(at::Tensor tensor, int root) override {
    return meet(
        {"broadcast from " + std::to_string(ranks()[root]), tensor.scalar_type(), tensor.numel()},
        rank() == root ? copied(tensor) : at::Tensor(), nullptr,
        [tensor, root](ThreadMeeting& meeting) { copy_raw(tensor, meeting.inputs[root]); });
  }

  Pending send(at::Tensor tensor, int peer, int tag) override {
    room_.post({rank(), peer, tag}, copied(tensor));
    return Pending();
  }

  Pending receive(at::Tensor tensor, int peer, int tag) override {
    const std::int64_t number = room_.reserve_letter({peer, rank(), tag});
    return deferred([hall = hall_, room = &room_, tensor, me = rank(), peer, tag, number] {
      copy_raw(tensor, room->take_letter({peer, me, tag}, number, tensor));
    });
  }

  void barrier() override { meet({"barrier", at::kByte, 0}, {}, nullptr, nullptr).wait(); }

  void abort(const std::string&) noexcept override { hall_->leave(ranks()[rank()]); }

 private:
  using Action = std::function<void(ThreadMeeting&)>;

  ThreadHall::Room::Visit next_visit(ThreadRequest request, at::Tensor input) {
    return {rank(), next_number_++, std::move(request), std::move(input), {}, {}};
  }

  Pending meet(ThreadRequest request, at::Tensor input, const Action& finish, Action collect) {
    return meet(next_visit(std::move(request), std::move(input)), finish, std::move(collect));
  }

  Pending meet(ThreadHall::Room::Visit visit, const Action& finish, Action collect) {
    const ThreadRequest request = visit.request;
    auto meeting = room_.enter(std::move(visit), finish);
    return deferred([hall = hall_, room = &room_, meeting, request, collect = std::move(collect)] {
      room->wait(*meeting, request);
      if (collect) collect(*meeting);
    });
  }

  std::shared_ptr<ThreadHall> hall_;
  ThreadHall::Room& room_;
  std::int64_t next_number_ = 0;
};

class ThreadFactory final : public World::Factory {
 public:
  ThreadFactory(std::shared_ptr<ThreadHall> hall, int rank) : hall_(std::move(hall)), rank_(rank) {}
  std::shared_ptr<Group::Backend> make(const std::vector<int>& ranks, int rank) override {
    return std::make_shared<ThreadBackend>(hall_, ranks, rank);
  }
  void abort() noexcept override { hall_->leave(rank_); }

 private:
  std::shared_ptr<ThreadHall> hall_;
  int rank_;
};

}  // namespace

std::shared_ptr<World::Factory> make_thread_factory(std::shared_ptr<ThreadHall> hall, int rank) {
  return std::make_shared<ThreadFactory>(std::move(hall), rank);
}

}  // namespace galvatron::comm
