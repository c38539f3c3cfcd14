// What a call says when it refuses its input, for tests of messages.
#pragma once
#include <string>

#include "galvatron/base/error.h"

namespace galvatron {

// The message of the ConfigError that `call` throws; "" when it throws none.
template <typename Call>
std::string config_error_of(Call&& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace galvatron
