// Answers that take a while: lines of JSON, progress first, the last one the result or an error.
#pragma once
#include <functional>
#include <mutex>

#include "galvatron/base/json.h"
#include "galvatron/http/message.h"

namespace galvatron::server {

// One reader's lines. Any thread.
class Lines {
 public:
  // `seconds`: after so many nobody waits any longer.
  Lines(const http::WritePiece& write, double seconds);

  // Sends it, or keeps it for later where the last one was just sent. Is the answer still wanted?
  // False for good once the reader is gone or the time is over.
  bool progress(const OrderedJson& line);
  // The same where there is nothing new to say.
  bool goes_on();
  bool is_over_time() const;
  // The last line.
  void end(const OrderedJson& line);

 private:
  bool send(const OrderedJson& line);

  const http::WritePiece& write_;
  const double end_;
  std::mutex mutex_;  // of what follows
  OrderedJson latest_;
  double sent_;
  bool gone_ = false;
};

// The answer that `work` gives line by line. What `work` throws becomes the last line; `work` may
// throw Abandoned where its answer is no longer wanted.
struct Abandoned {};
http::Answer line_answer(double seconds, std::function<void(Lines& lines)> work);

}  // namespace galvatron::server
