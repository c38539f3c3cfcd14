// What torch and Gloo say about a failure, as part of a sentence.
#pragma once
#include <exception>
#include <string>

namespace galvatron::comm {

// The first line, without source positions ("[/path/pair.cc:553] ") and stack traces.
std::string short_reason(const std::exception& error);

}  // namespace galvatron::comm
