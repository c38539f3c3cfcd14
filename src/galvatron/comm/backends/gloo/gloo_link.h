// Messages between the members of one group over a c10d Gloo process group, with errors that name
// the peer and an abort that wakes whoever waits. Everything in gloo/ is built from these messages:
// each pair of ranks has a connection of its own, so a collective is all of its messages at once,
// and its sums can be made in rank order.
#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {

class GlooLink {
 public:
  // `hosts`: of all ranks of the world, for messages; empty where they are one process.
  GlooLink(c10::intrusive_ptr<c10d::ProcessGroupGloo> group, std::vector<int> ranks,
           std::string name, std::chrono::milliseconds timeout, std::vector<std::string> hosts);

  struct Transfer {
    c10::intrusive_ptr<c10d::Work> work;
    int peer = 0;  // rank within the group
    bool is_send = false;
  };

  // Neither blocks. An empty tensor needs no message. Both sides must name the same size: Gloo ends
  // the process of a receiver whose buffer differs from what arrives.
  Transfer start_send(at::Tensor tensor, int peer, std::uint32_t tag);
  Transfer start_receive(at::Tensor tensor, int peer, std::uint32_t tag);
  // RuntimeFailure "`operation` on ranks 0,1 failed: lost the connection to rank 1 (...)".
  void finish(const Transfer& transfer, const std::string& operation);

  // Wakes every finish() with a RuntimeFailure, of `why` unless that is empty, and closes the
  // connections.
  void abort(const std::string& why) noexcept;

 private:
  void refuse_if_aborted() const;  // under the lock
  c10::intrusive_ptr<c10d::ProcessGroupGloo> open_group();
  Transfer keep(c10::intrusive_ptr<c10d::Work> work, int peer, bool is_send);
  [[noreturn]] void fail(const Transfer& transfer, const std::string& operation,
                         const std::string& reason) const;

  const std::vector<int> ranks_;
  const std::string name_;
  const std::chrono::milliseconds timeout_;
  const std::vector<std::string> hosts_;
  mutable std::mutex mutex_;
  bool aborted_ = false;
  std::string why_;  // it was
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  std::unordered_map<c10d::Work*, c10::intrusive_ptr<c10d::Work>> under_way_;
};

}  // namespace galvatron::comm
