#include "galvatron/comm/group.h"

#include <exception>
#include <numeric>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/backend.h"
#include "galvatron/comm/backends/reduce.h"

namespace galvatron::comm {
namespace {

using Mode = Group::Backend::Mode;

void check_contiguous(const at::Tensor& tensor, const char* operation) {
  GALV_CHECK(tensor.defined() && tensor.is_contiguous(), operation, " needs contiguous tensors");
}

void check_pair(const at::Tensor& output, const at::Tensor& input, const char* operation) {
  check_contiguous(output, operation);
  check_contiguous(input, operation);
  GALV_CHECK(output.scalar_type() == input.scalar_type(), operation, ": output is ",
             output.scalar_type(), ", input is ", input.scalar_type());
}

void check_sizes(const at::Tensor& tensor, const std::vector<std::int64_t>& sizes, int group_size,
                 const char* which) {
  GALV_CHECK(static_cast<int>(sizes.size()) == group_size, "all_to_all with ", sizes.size(), " ",
             which, " sizes in a group of ", group_size);
  for (std::int64_t size : sizes) GALV_CHECK(size >= 0, "all_to_all with a size of ", size);
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  GALV_CHECK(tensor.numel() == total, "all_to_all: ", which, " has ", tensor.numel(),
             " elements, its sizes add up to ", total);
}

// Records one operation from its making on, for the time in which this thread is held up by it.
class Recorded {
 public:
  Recorded(const Group::Backend& backend, const char* kind, const at::Tensor& tensor, int peer = -1)
      : flight_(backend.flight()) {
    if (!flight_) return;
    FlightEntry entry;
    entry.kind = kind;
    entry.group = backend.flight_group();
    entry.bytes = tensor.defined() ? static_cast<std::int64_t>(tensor.nbytes()) : 0;
    if (peer >= 0) entry.peer = backend.ranks()[static_cast<std::size_t>(peer)];
    number_ = flight_->start(entry);
    flight_->wait_for(number_);
  }
  ~Recorded() {
    // What fails stays as it is, for whoever asks why.
    if (!flight_ || std::uncaught_exceptions() > 0) return;
    if (!goes_on_) flight_->end(number_);
    flight_->wait_for(-1);
  }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

  Pending hand_over(Pending pending) {
    if (!flight_ || pending.done()) return pending;
    goes_on_ = true;
    return Pending(std::move(pending), flight_, number_);
  }

 private:
  std::shared_ptr<FlightRecorder> flight_;
  std::int64_t number_ = -1;
  bool goes_on_ = false;
};

}  // namespace

void Group::Backend::record_in(std::shared_ptr<FlightRecorder> flight) {
  flight_ = std::move(flight);
  flight_group_ = flight_->add_group(ranks_);
}

Pending::Pending() = default;
Pending::Pending(std::shared_ptr<State> state) : state_(std::move(state)) {}
Pending::Pending(Pending&& pending, std::shared_ptr<FlightRecorder> flight, std::int64_t number)
    : state_(std::move(pending.state_)), flight_(std::move(flight)), number_(number) {}
Pending::Pending(Pending&&) noexcept = default;

Pending& Pending::operator=(Pending&& other) noexcept {
  if (this != &other) {
    Pending old(std::move(*this));  // waits when it goes
    state_ = std::move(other.state_);
    flight_ = std::move(other.flight_);
    number_ = other.number_;
  }
  return *this;
}

// While an exception unwinds nobody needs the result, and waiting for peers would delay the news of
// the failure.
Pending::~Pending() {
  if (!state_ || std::uncaught_exceptions() > 0) return;
  try {
    wait();
  } catch (const std::exception&) {
  }
}

void Pending::wait() {
  if (!state_) return;
  if (!flight_) return finish();
  flight_->wait_for(number_);
  finish();
  // In this order: between the two it neither stands still nor waits.
  flight_->end(number_);
  flight_->wait_for(-1);
}

void Pending::finish() {
  const std::shared_ptr<State> state = std::exchange(state_, nullptr);
  state->wait();
}

bool Pending::done() const { return !state_; }

Group::Group() = default;
Group::Group(std::shared_ptr<Backend> backend) : backend_(std::move(backend)) {}

int Group::size() const { return backend_ ? backend_->size() : 1; }
int Group::rank() const { return backend_ ? backend_->rank() : 0; }

const std::vector<int>& Group::ranks() const {
  static const std::vector<int> alone{0};
  return backend_ ? backend_->ranks() : alone;
}

const std::string& Group::name() const {
  static const std::string alone = "one rank";
  return backend_ ? backend_->name() : alone;
}

void Group::all_reduce(at::Tensor& tensor, Reduction reduction) const {
  check_contiguous(tensor, "all_reduce");
  if (!backend_) return;
  const Recorded recorded(*backend_, "all_reduce", tensor);
  backend_->all_reduce(tensor, reduction, Mode::kBlocking).wait();
}

Pending Group::all_reduce_async(at::Tensor tensor, Reduction reduction) const {
  check_contiguous(tensor, "all_reduce");
  if (!backend_) return Pending();
  Recorded recorded(*backend_, "all_reduce", tensor);
  return recorded.hand_over(backend_->all_reduce(std::move(tensor), reduction, Mode::kAsync));
}

namespace {

void check_all_gather(const at::Tensor& output, const at::Tensor& input, int size) {
  check_pair(output, input, "all_gather");
  GALV_CHECK(output.numel() == size * input.numel(), "all_gather of ", input.numel(),
             " elements over ", size, " ranks into ", output.numel());
}

void check_reduce_scatter(const at::Tensor& output, const at::Tensor& input, int size) {
  check_pair(output, input, "reduce_scatter");
  GALV_CHECK(input.numel() == size * output.numel(), "reduce_scatter of ", input.numel(),
             " elements over ", size, " ranks into ", output.numel());
}

}  // namespace

void Group::all_gather(at::Tensor& output, const at::Tensor& input) const {
  check_all_gather(output, input, size());
  if (!backend_) return copy_raw(output, input);
  const Recorded recorded(*backend_, "all_gather", input);
  backend_->all_gather(output, input, Mode::kBlocking).wait();
}

Pending Group::all_gather_async(at::Tensor output, at::Tensor input) const {
  check_all_gather(output, input, size());
  if (!backend_) {
    copy_raw(output, input);
    return Pending();
  }
  Recorded recorded(*backend_, "all_gather", input);
  return recorded.hand_over(
      backend_->all_gather(std::move(output), std::move(input), Mode::kAsync));
}

void Group::reduce_scatter(at::Tensor& output, const at::Tensor& input) const {
  check_reduce_scatter(output, input, size());
  if (!backend_) return copy_raw(output, input);
  const Recorded recorded(*backend_, "reduce_scatter", input);
  backend_->reduce_scatter(output, input, Mode::kBlocking).wait();
}

Pending Group::reduce_scatter_async(at::Tensor output, at::Tensor input) const {
  check_reduce_scatter(output, input, size());
  if (!backend_) {
    copy_raw(output, input);
    return Pending();
  }
  Recorded recorded(*backend_, "reduce_scatter", input);
  return recorded.hand_over(
      backend_->reduce_scatter(std::move(output), std::move(input), Mode::kAsync));
}

void Group::all_to_all(at::Tensor& output, const at::Tensor& input,
                       const std::vector<std::int64_t>& output_sizes,
                       const std::vector<std::int64_t>& input_sizes) const {
  check_pair(output, input, "all_to_all");
  check_sizes(output, output_sizes, size(), "output");
  check_sizes(input, input_sizes, size(), "input");
  if (!backend_) return copy_raw(output, input);
  const Recorded recorded(*backend_, "all_to_all", input);
  backend_->all_to_all(output, input, output_sizes, input_sizes, Mode::kBlocking).wait();
}

Pending Group::all_to_all_async(at::Tensor output, at::Tensor input,
                                std::vector<std::int64_t> output_sizes,
                                std::vector<std::int64_t> input_sizes) const {
  check_pair(output, input, "all_to_all");
  check_sizes(output, output_sizes, size(), "output");
  check_sizes(input, input_sizes, size(), "input");
  if (!backend_) {
    copy_raw(output, input);
    return Pending();
  }
  Recorded recorded(*backend_, "all_to_all", input);
  return recorded.hand_over(backend_->all_to_all(std::move(output), std::move(input),
                                                 std::move(output_sizes), std::move(input_sizes),
                                                 Mode::kAsync));
}

void Group::broadcast(at::Tensor& tensor, int root) const {
  check_contiguous(tensor, "broadcast");
  GALV_CHECK(root >= 0 && root < size(), "broadcast from ", root, " of ", size());
  if (!backend_) return;
  const Recorded recorded(*backend_, "broadcast", tensor);
  backend_->broadcast(tensor, root).wait();
}

Pending Group::send(at::Tensor tensor, int peer, int tag) const {
  check_contiguous(tensor, "send");
  GALV_CHECK(peer >= 0 && peer < size() && peer != rank(), "send to ", peer, " of ", size());
  GALV_CHECK(tag >= 0, "tag ", tag);
  Recorded recorded(*backend_, "send", tensor, peer);
  return recorded.hand_over(backend_->send(std::move(tensor), peer, tag));
}

Pending Group::receive(at::Tensor tensor, int peer, int tag) const {
  check_contiguous(tensor, "receive");
  GALV_CHECK(peer >= 0 && peer < size() && peer != rank(), "receive from ", peer, " of ", size());
  GALV_CHECK(tag >= 0, "tag ", tag);
  Recorded recorded(*backend_, "receive", tensor, peer);
  return recorded.hand_over(backend_->receive(std::move(tensor), peer, tag));
}

void Group::barrier() const {
  if (!backend_) return;
  const Recorded recorded(*backend_, "barrier", {});
  backend_->barrier();
}

}  // namespace galvatron::comm
