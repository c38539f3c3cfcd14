#include "galvatron/comm/flight_recorder.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"

namespace galvatron::comm {
namespace {

std::int64_t& counter_of(const FlightEntry& entry, std::int64_t& collectives, std::int64_t& sent,
                         std::int64_t& received) {
  if (entry.peer < 0) return collectives;
  return std::string_view(entry.kind) == "send" ? sent : received;
}

OrderedJson entry_to_json(const FlightEntry& entry, const std::vector<int>* ranks) {
  OrderedJson out{{"number", entry.number}, {"kind", entry.kind}, {"step", entry.step}};
  if (ranks) {
    out["ranks"] = *ranks;
    out["sequence"] = entry.sequence;
    out["bytes"] = entry.bytes;
  }
  if (entry.peer >= 0) out["peer"] = entry.peer;
  if (entry.layer >= 0) out["layer"] = entry.layer;
  if (entry.microbatch >= 0) out["microbatch"] = entry.microbatch;
  out["started"] = entry.started;
  out["ended"] = entry.ended > 0 ? OrderedJson(entry.ended) : OrderedJson();
  return out;
}

}  // namespace

std::string describe(const FlightEntry& entry) {
  std::string out = entry.kind;
  if (entry.layer >= 0) out += detail::concat(" of layer ", entry.layer);
  if (entry.group >= 0) out += detail::concat(" ", entry.sequence);
  if (entry.microbatch >= 0) out += detail::concat(", microbatch ", entry.microbatch);
  return out;
}

FlightRecorder::FlightRecorder(std::size_t capacity) : ring_(capacity) {
  GALV_CHECK(capacity > 0, "a ring of nothing");
}

int FlightRecorder::add_group(const std::vector<int>& ranks) {
  const std::lock_guard lock(mutex_);
  groups_.push_back({ranks});
  return static_cast<int>(groups_.size()) - 1;
}

void FlightRecorder::set_step(std::int64_t step) {
  const std::lock_guard lock(mutex_);
  step_ = step;
}

FlightEntry* FlightRecorder::find(std::int64_t number) {
  if (number < 0) return nullptr;
  FlightEntry& entry = ring_[static_cast<std::size_t>(number) % ring_.size()];
  return entry.number == number ? &entry : nullptr;
}

const FlightEntry* FlightRecorder::find(std::int64_t number) const {
  return const_cast<FlightRecorder*>(this)->find(number);
}

std::int64_t FlightRecorder::start(FlightEntry entry) {
  entry.started = now_seconds();
  const std::lock_guard lock(mutex_);
  entry.number = started_++;
  entry.step = step_;
  if (entry.group >= 0) {
    Members& group = groups_[static_cast<std::size_t>(entry.group)];
    entry.sequence = ++counter_of(entry, group.collectives, group.sent, group.received);
  }
  ring_[static_cast<std::size_t>(entry.number) % ring_.size()] = entry;
  return entry.number;
}

void FlightRecorder::end(std::int64_t number) {
  const double now = now_seconds();
  const std::lock_guard lock(mutex_);
  ++ended_;
  if (FlightEntry* entry = find(number)) entry->ended = now;
}

void FlightRecorder::listen(const void* who, OnWait on_wait, std::function<void()> on_begin) {
  const std::lock_guard lock(mutex_);
  listener_ = who;
  on_wait_ = std::move(on_wait);
  on_begin_ = std::move(on_begin);
}

void FlightRecorder::stop_listening(const void* who) {
  const std::lock_guard lock(mutex_);
  if (listener_ != who) return;
  listener_ = nullptr;
  on_wait_ = nullptr;
  on_begin_ = nullptr;
}

void FlightRecorder::wait_for(std::int64_t number) {
  std::unique_lock lock(mutex_);
  const bool waited = std::exchange(waits_, number >= 0);
  if (on_wait_ && waits_) wait_began_ = now_seconds();
  if (!waits_) {
    if (!on_wait_ || !waited || wait_began_ == 0) return;
    const FlightEntry entry = waits_for_;
    const double begin = std::exchange(wait_began_, 0);
    const std::vector<int> ranks = entry.group >= 0
                                       ? groups_[static_cast<std::size_t>(entry.group)].ranks
                                       : std::vector<int>{};
    const OnWait on_wait = on_wait_;
    lock.unlock();  // it may ask
    return on_wait(entry, ranks, begin, now_seconds());
  }
  const FlightEntry* entry = find(number);
  waits_for_ = entry ? *entry : FlightEntry{.number = number, .kind = "a collective"};
  if (!on_begin_) return;
  const std::function<void()> on_begin = on_begin_;
  lock.unlock();
  on_begin();
}

void FlightRecorder::work_on(std::int64_t number, bool on_files) {
  const std::lock_guard lock(mutex_);
  works_on_ = number;
  on_files_ = on_files;
}

FlightRecorder::Scope::Scope(FlightRecorder& recorder, const FlightEntry& entry, bool on_files)
    : recorder_(recorder), number_(recorder.start(entry)) {
  const std::lock_guard lock(recorder_.mutex_);
  before_ = std::exchange(recorder_.works_on_, number_);
  before_on_files_ = std::exchange(recorder_.on_files_, on_files);
}

FlightRecorder::Scope::~Scope() {
  recorder_.end(number_);
  recorder_.work_on(before_, before_on_files_);
}

FlightRecorder::Now FlightRecorder::now() const {
  const std::lock_guard lock(mutex_);
  Now out{started_ + ended_, step_, std::nullopt, on_files_, "", {}};
  if (waits_) {
    out.waits_for = waits_for_;
    if (waits_for_.group >= 0)
      out.group = groups_[static_cast<std::size_t>(waits_for_.group)].ranks;
  }
  const FlightEntry* work = find(works_on_);
  const FlightEntry* last = work ? work : find(started_ - 1);
  if (last) out.doing = (last->ended > 0 ? "after " : "") + describe(*last);
  return out;
}

std::vector<FlightEntry> FlightRecorder::entries() const {
  const std::lock_guard lock(mutex_);
  std::vector<FlightEntry> out;
  const auto capacity = static_cast<std::int64_t>(ring_.size());
  for (std::int64_t i = std::max<std::int64_t>(0, started_ - capacity); i < started_; ++i) {
    if (const FlightEntry* entry = find(i)) out.push_back(*entry);
  }
  return out;
}

OrderedJson FlightRecorder::entries_to_json() const {
  OrderedJson out = OrderedJson::array();
  for (const FlightEntry& entry : entries()) {
    const std::lock_guard lock(mutex_);
    const bool in_group = entry.group >= 0;
    out.push_back(entry_to_json(
        entry, in_group ? &groups_[static_cast<std::size_t>(entry.group)].ranks : nullptr));
  }
  return out;
}

void FlightRecorder::set_file(const std::string& path, const OrderedJson& header) {
  const std::lock_guard lock(mutex_);
  path_ = path;
  header_ = header;
}

void FlightRecorder::write_file(const std::string& reason) const noexcept {
  try {
    OrderedJson out{{"reason", reason}};
    std::string path;
    {
      const std::lock_guard lock(mutex_);
      if (path_.empty()) return;
      path = path_;
      out.update(header_);
    }
    out["now"] = now_seconds();
    out["entries"] = entries_to_json();
    write_file_atomically(path, out.dump(1) + "\n");
  } catch (const std::exception&) {
  }
}

}  // namespace galvatron::comm
