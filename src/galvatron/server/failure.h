// What goes wrong, as the answer to whoever asked: {"error": {"sentence"}}.
#pragma once
#include <exception>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/http/message.h"

namespace galvatron::server {

struct Failure {
  int status;  // 400: the request's fault, 500: ours
  std::string sentence;
};
Failure failure_of(const std::exception& error);

OrderedJson failure_json(const std::string& sentence);

// Of an answer in JSON: one that no cache keeps.
http::Answer json_answer(const OrderedJson& body, int status = 200);
http::Answer failure_answer(int status, const std::string& sentence);

}  // namespace galvatron::server
