// The files of the page, inside the binary: what `make page` left in visualizer/dist when the
// binary was built (cmake/PageAssets.cmake).
#pragma once
#include <span>
#include <string_view>

namespace galvatron::server {

struct PageAsset {
  std::string_view path;  // of the address: "/index.html", "/assets/index-D3adB33f.js"
  std::string_view content_type;
  std::string_view bytes;
  bool is_gzip = false;  // as `bytes` are
};

// All of them, the API's description /openapi.json included; without the page where the binary was
// built before it.
std::span<const PageAsset> page_assets();
// nullptr: there is none.
const PageAsset* find_asset(std::string_view path);

// The page of a report, to be completed by its run (views/report_page.h); empty: it was not built.
std::string_view report_page();

}  // namespace galvatron::server
