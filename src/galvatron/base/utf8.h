// JSON holds UTF-8, names of files hold any bytes: what is no UTF-8 is written as U+FFFD.
#pragma once
#include <string>

#include "galvatron/base/json.h"

namespace galvatron {

// In one line.
std::string dump_utf8(const OrderedJson& value);

// `value` as a reader of dump_utf8() finds it.
OrderedJson as_utf8(const OrderedJson& value);

}  // namespace galvatron
