#include "galvatron/train/read_ahead.h"

#include <algorithm>
#include <csignal>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/runtime/layer_call.h"

namespace galvatron::train {
namespace {

// Adds what its life takes to `seconds`.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), started_(now_seconds()) {}
  ~Stopwatch() { seconds_ += now_seconds() - started_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  double started_;
};

// Signals are for the thread that trains.
template <typename Start>
void without_signals(const Start& start) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  start();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

class ReadAhead::Input : public runtime::InputSource {
 public:
  explicit Input(ReadAhead& owner) : owner_(owner) {}
  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    const Stopwatch watch(owner_.waited_);
    return owner_.take({kind, samples, tokens});
  }
  bool says(spec::InputKind kind) const override { return owner_.samples_.says(kind); }
  double num_labels() override {
    const Stopwatch watch(owner_.waited_);
    return owner_.num_labels();
  }

 private:
  ReadAhead& owner_;
};

ReadAhead::ReadAhead(const data::SampleSource& samples, std::int64_t global_batch, std::int64_t end,
                     c10::Device device)
    : samples_(samples),
      global_batch_(global_batch),
      end_(end),
      copies_(device),
      input_(std::make_unique<Input>(*this)) {}

ReadAhead::~ReadAhead() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

runtime::InputSource& ReadAhead::batch(std::int64_t consumed) {
  const bool follows = consumed_ >= 0 && consumed == consumed_ + global_batch_;
  {
    const std::lock_guard lock(mutex_);
    if (!follows) ahead_.clear();
    std::erase_if(ahead_, [&](const auto& batch) { return batch->consumed < consumed; });
    // A batch from which nothing was asked for (no label counted) foretells nothing.
    if (!asked_.empty()) foreseen_ = asked_;
    next_ = ahead_.empty() ? consumed + global_batch_ : ahead_.back()->consumed + global_batch_;
    consumed_ = consumed;
  }
  waited_ = 0;
  num_labels_.reset();
  asked_.clear();
  if (!foreseen_.empty() && samples_.may_be_read_ahead()) start();
  return *input_;
}

void ReadAhead::start() {
  changed_.notify_all();
  if (thread_.joinable()) return;
  without_signals([&] { thread_ = std::thread([this] { work(); }); });
}

void ReadAhead::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    // The batch that is handed out may be among them; it does not wait any more.
    const auto waits = [&](const auto& batch) { return batch->consumed > consumed_; };
    changed_.wait(lock, [&] {
      const auto waiting = static_cast<std::size_t>(std::ranges::count_if(ahead_, waits));
      return stops_ || (waiting < kBatchesAhead && next_ < end_);
    });
    if (stops_) return;
    const auto batch = std::make_shared<Batch>();
    batch->consumed = next_;
    for (const Request& request : foreseen_)
      batch->items.push_back({request, {}, {}, false, false});
    ahead_.push_back(batch);
    next_ += global_batch_;
    read(*batch, lock);
  }
}

// Each item by itself, so that whoever waits for one does not wait for all.
void ReadAhead::read(Batch& batch, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  std::optional<double> num_labels;
  try {
    num_labels = samples_.num_labels(batch.consumed, global_batch_);
  } catch (...) {  // the asker will meet it again
  }
  lock.lock();
  batch.num_labels = num_labels;
  for (Item& item : batch.items) {
    const Request& request = item.request;
    DeviceCopies::Copy copy;
    std::exception_ptr failure;
    lock.unlock();
    try {
      copy = fetch(batch, request);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    item.copy = std::move(copy);
    item.failure = failure;
    item.done = true;
    changed_.notify_all();
    if (stops_) return;
  }
}

DeviceCopies::Copy ReadAhead::fetch(const Batch& batch, const Request& request) const {
  at::Tensor value = samples_.fetch(request.kind, batch.consumed, request.samples, request.tokens);
  if (runtime::stays_on_host(request.kind)) return {std::move(value), std::nullopt};
  return copies_.start(value);
}

at::Tensor ReadAhead::take(const Request& request) {
  asked_.push_back(request);
  std::unique_lock lock(mutex_);
  const auto batch =
      std::ranges::find(ahead_, consumed_, [](const auto& one) { return one->consumed; });
  if (batch != ahead_.end()) {
    const std::shared_ptr<Batch> held = *batch;
    const auto item = std::ranges::find_if(
        held->items, [&](const Item& one) { return one.request == request && !one.taken; });
    if (item != held->items.end()) {
      changed_.wait(lock, [&] { return item->done; });
      item->taken = true;
      if (item->failure) std::rethrow_exception(item->failure);
      return DeviceCopies::take(std::move(item->copy));
    }
  }
  lock.unlock();
  return samples_.fetch(request.kind, consumed_, request.samples, request.tokens);
}

double ReadAhead::num_labels() {
  if (num_labels_) return *num_labels_;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& batch : ahead_) {
      if (batch->consumed == consumed_) num_labels_ = batch->num_labels;
    }
  }
  if (!num_labels_) num_labels_ = samples_.num_labels(consumed_, global_batch_);
  return *num_labels_;
}

}  // namespace galvatron::train
