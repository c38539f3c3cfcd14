// The report of a run: the built page of reports with the run inside.
#pragma once
#include <string>
#include <string_view>

#include "galvatron/base/json.h"

namespace galvatron::views {

// `page` has an empty element <script id="galvatron-run" type="application/json">, which gets the
// RunView; nothing in it can end the element. InternalError for a page without one.
std::string report_page(std::string_view page, const OrderedJson& run);

}  // namespace galvatron::views
