// The page's files lie compressed in the binary: as they were, for who wants them so.
#pragma once
#include <string>
#include <string_view>

namespace galvatron::server {

// What one gzip member holds. REQUIRES: it is one that cmake/embed_page.cmake made, whole.
std::string gunzip(std::string_view member);

}  // namespace galvatron::server
