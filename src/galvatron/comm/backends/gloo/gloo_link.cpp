#include "galvatron/comm/backends/gloo/gloo_link.h"

#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/rank_life.h"

namespace galvatron::comm {

GlooLink::GlooLink(c10::intrusive_ptr<c10d::ProcessGroupGloo> group, std::vector<int> ranks,
                   std::string name, std::chrono::milliseconds timeout,
                   std::vector<std::string> hosts)
    : ranks_(std::move(ranks)),
      name_(std::move(name)),
      timeout_(timeout),
      hosts_(std::move(hosts)),
      group_(std::move(group)) {}

void GlooLink::refuse_if_aborted() const {
  if (!aborted_) return;
  if (!why_.empty()) throw RuntimeFailure(why_);
  throw RuntimeFailure("the group of ", name_, " was dropped after a failure");
}

c10::intrusive_ptr<c10d::ProcessGroupGloo> GlooLink::open_group() {
  const std::lock_guard lock(mutex_);
  refuse_if_aborted();
  return group_;
}

GlooLink::Transfer GlooLink::keep(c10::intrusive_ptr<c10d::Work> work, int peer, bool is_send) {
  const std::lock_guard lock(mutex_);
  refuse_if_aborted();
  under_way_[work.get()] = work;
  return {std::move(work), peer, is_send};
}

GlooLink::Transfer GlooLink::start_send(at::Tensor tensor, int peer, std::uint32_t tag) {
  if (tensor.numel() == 0) return {};
  const auto group = open_group();
  std::vector<at::Tensor> tensors{std::move(tensor)};
  try {
    return keep(group->send(tensors, peer, static_cast<int>(tag)), peer, true);
  } catch (const std::exception& error) {
    fail({{}, peer, true}, "send", short_reason(error));
  }
}

GlooLink::Transfer GlooLink::start_receive(at::Tensor tensor, int peer, std::uint32_t tag) {
  if (tensor.numel() == 0) return {};
  const auto group = open_group();
  std::vector<at::Tensor> tensors{std::move(tensor)};
  try {
    return keep(group->recv(tensors, peer, static_cast<int>(tag)), peer, false);
  } catch (const std::exception& error) {
    fail({{}, peer, false}, "receive", short_reason(error));
  }
}

void GlooLink::finish(const Transfer& transfer, const std::string& operation) {
  if (!transfer.work) return;
  bool completed = false;
  std::string problem;
  try {
    completed = transfer.work->wait();
  } catch (const std::exception& error) {
    problem = short_reason(error);
  }
  {
    const std::lock_guard lock(mutex_);
    under_way_.erase(transfer.work.get());
    if (aborted_ && !completed) {
      if (!why_.empty()) throw RuntimeFailure(why_);
      problem = "this rank dropped the group after a failure";
    }
  }
  if (!completed) fail(transfer, operation, problem);
}

void GlooLink::fail(const Transfer& transfer, const std::string& operation,
                    const std::string& reason) const {
  const int rank = ranks_[transfer.peer];
  const std::string peer = rank_on_host(rank, hosts_.empty() ? "" : hosts_[rank]);
  const bool late = reason.find("imed out") != std::string::npos;
  if (late) {
    throw RuntimeFailure(operation, " on ", name_, " failed: ", peer,
                         transfer.is_send ? " took nothing" : " sent nothing", " within ",
                         timeout_.count(), " ms");
  }
  throw RuntimeFailure(operation, " on ", name_, " failed: lost the connection to ", peer, " (",
                       reason, ")");
}

void GlooLink::abort(const std::string& why) noexcept {
  decltype(under_way_) under_way;
  decltype(group_) group;
  {
    const std::lock_guard lock(mutex_);
    if (!aborted_) why_ = why;
    aborted_ = true;
    under_way.swap(under_way_);
    group.swap(group_);
  }
  for (auto& [key, work] : under_way) {
    try {
      work->abort();
    } catch (const std::exception&) {
    }
  }
}

}  // namespace galvatron::comm
