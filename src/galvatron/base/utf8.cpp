#include "galvatron/base/utf8.h"

namespace galvatron {

std::string dump_utf8(const OrderedJson& value) {
  return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson as_utf8(const OrderedJson& value) { return OrderedJson::parse(dump_utf8(value)); }

}  // namespace galvatron
