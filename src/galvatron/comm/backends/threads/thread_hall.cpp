#include "galvatron/comm/backends/threads/thread_hall.h"

#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/backend.h"

namespace galvatron::comm {

ThreadHall::Room& ThreadHall::room(const std::vector<int>& ranks) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Room>& room = rooms_[ranks];
  if (!room) room = std::make_unique<Room>(*this, ranks);
  return *room;
}

void ThreadHall::leave(int rank) noexcept {
  const std::lock_guard lock(mutex_);
  if (left_) return;
  left_ = rank;
  for (auto& [ranks, room] : rooms_) {
    for (auto& [number, meeting] : room->meetings_) meeting->changed.notify_all();
    for (auto& [key, mailbox] : room->mailboxes_) mailbox.changed.notify_all();
  }
}

void ThreadHall::check_nobody_left(const std::string& what) const {
  if (left_) throw RuntimeFailure(what, " failed: rank ", *left_, " gave up");
}

void ThreadHall::wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                      const std::string& what, const std::function<bool()>& done,
                      const std::function<std::string()>& missing) {
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  while (!done()) {
    check_nobody_left(what);
    if (changed.wait_until(lock, deadline) == std::cv_status::timeout && !done()) {
      throw RuntimeFailure(what, " failed: ", missing(), " did not come within ", timeout_.count(),
                           " ms");
    }
  }
}

ThreadHall::Room::Room(ThreadHall& hall, std::vector<int> ranks)
    : hall_(hall), ranks_(std::move(ranks)), name_(rank_set_name(ranks_)) {}

std::string ThreadHall::Room::describe(const ThreadRequest& request, int rank) const {
  return detail::concat("rank ", ranks_[rank], " calls ", request.operation, " of ", request.numel,
                        " ", c10::toString(request.dtype));
}

std::string ThreadHall::Room::absent(const ThreadMeeting& meeting) const {
  std::vector<int> absent;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (!meeting.came[i]) absent.push_back(ranks_[i]);
  }
  return rank_set_name(absent);
}

void ThreadHall::Room::check_visit(ThreadMeeting& meeting, const Visit& visit) const {
  if (meeting.first < 0) {
    meeting.first = visit.rank;
    meeting.request = visit.request;
  } else if (!(meeting.request == visit.request) && meeting.error.empty()) {
    meeting.error = detail::concat("operation ", visit.number, " of ", name_,
                                   " differs: ", describe(meeting.request, meeting.first), ", but ",
                                   describe(visit.request, visit.rank));
  }
}

void ThreadHall::Room::check_all_to_all(ThreadMeeting& meeting) const {
  if (meeting.input_sizes[0].empty()) return;
  for (std::size_t from = 0; from < ranks_.size(); ++from) {
    for (std::size_t to = 0; to < ranks_.size(); ++to) {
      const std::int64_t sent = meeting.input_sizes[from][to];
      const std::int64_t expected = meeting.output_sizes[to][from];
      if (sent == expected) continue;
      meeting.error =
          detail::concat("all_to_all of ", name_, " differs: rank ", ranks_[from], " sends ", sent,
                         " elements to rank ", ranks_[to], ", which expects ", expected);
      return;
    }
  }
}

std::shared_ptr<ThreadMeeting> ThreadHall::Room::enter(
    Visit visit, const std::function<void(ThreadMeeting&)>& finish) {
  std::unique_lock lock(hall_.mutex_);
  hall_.check_nobody_left(visit.request.operation + " on " + name_);
  std::shared_ptr<ThreadMeeting>& slot = meetings_[visit.number];
  if (!slot) slot = std::make_shared<ThreadMeeting>(static_cast<int>(ranks_.size()));
  const std::shared_ptr<ThreadMeeting> meeting = slot;
  check_visit(*meeting, visit);
  meeting->came[visit.rank] = true;
  meeting->inputs[visit.rank] = std::move(visit.input);
  meeting->input_sizes[visit.rank] = std::move(visit.input_sizes);
  meeting->output_sizes[visit.rank] = std::move(visit.output_sizes);
  if (++meeting->num_came == static_cast<int>(ranks_.size())) {
    meetings_.erase(visit.number);
    if (meeting->error.empty()) check_all_to_all(*meeting);
    if (meeting->error.empty() && finish) {
      lock.unlock();
      finish(*meeting);
      lock.lock();
    }
    meeting->ready = true;
  }
  if (meeting->ready || !meeting->error.empty()) meeting->changed.notify_all();
  return meeting;
}

void ThreadHall::Room::wait(ThreadMeeting& meeting, const ThreadRequest& request) {
  std::unique_lock lock(hall_.mutex_);
  hall_.wait(
      lock, meeting.changed, request.operation + " on " + name_,
      [&] { return meeting.ready || !meeting.error.empty(); }, [&] { return absent(meeting); });
  if (!meeting.error.empty()) throw RuntimeFailure(meeting.error);
}

void ThreadHall::Room::post(Address address, at::Tensor letter) {
  const std::lock_guard lock(hall_.mutex_);
  hall_.check_nobody_left("send on " + name_);
  Mailbox& mailbox = mailboxes_[address];
  mailbox.letters[mailbox.posted++] = std::move(letter);
  mailbox.changed.notify_all();
}

std::int64_t ThreadHall::Room::reserve_letter(Address address) {
  const std::lock_guard lock(hall_.mutex_);
  return mailboxes_[address].reserved++;
}

at::Tensor ThreadHall::Room::take_letter(Address address, std::int64_t number,
                                         const at::Tensor& expected) {
  std::unique_lock lock(hall_.mutex_);
  Mailbox& mailbox = mailboxes_[address];
  const int sender = ranks_[address.from];
  hall_.wait(
      lock, mailbox.changed,
      detail::concat("receive from rank ", sender, " with tag ", address.tag, " on ", name_),
      [&] { return mailbox.letters.contains(number); },
      [&] { return "the message of rank " + std::to_string(sender); });
  const at::Tensor letter = std::move(mailbox.letters.extract(number).mapped());
  if (letter.scalar_type() != expected.scalar_type() || letter.numel() != expected.numel()) {
    throw RuntimeFailure("rank ", sender, " sent ", letter.numel(), " ", letter.scalar_type(),
                         " with tag ", address.tag, ", but rank ", ranks_[address.to], " receives ",
                         expected.numel(), " ", expected.scalar_type());
  }
  return letter;
}

}  // namespace galvatron::comm
