// Whether anybody listens at an address.
#pragma once
#include <chrono>
#include <string>

namespace galvatron::comm {

// Waits until something accepts connections on `port` of `host`. "" then, else why not, after
// `timeout`; at once where the name cannot be resolved.
std::string wait_for_listener(const std::string& host, int port, std::chrono::milliseconds timeout);

}  // namespace galvatron::comm
