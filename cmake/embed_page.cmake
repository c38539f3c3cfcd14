# Run at build time: cmake -DDIST=... -DDESCRIPTION=... -DFOLDER=... -P embed_page.cmake
# Writes FOLDER/page_assets.cpp, a table of what lies in DIST. Texts are compressed once, here.
cmake_minimum_required(VERSION 3.25)  # a script has no policies of its own: IN_LIST
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})

set(type_.html "text/html; charset=utf-8")
set(type_.js "text/javascript; charset=utf-8")
set(type_.css "text/css; charset=utf-8")
set(type_.json "application/json")
set(type_.svg "image/svg+xml")
set(type_.png "image/png")
set(type_.ico "image/x-icon")
set(type_.woff2 "font/woff2")
set(type_.txt "text/plain; charset=utf-8")
set(compressed .html .js .css .json .svg .txt)

set(count 0)
set(blobs "")
set(rows "")

# The bytes of a file under the symbols of the next number.
function(add_blob path)
  set(blobs "${blobs}GALVATRON_BLOB(${count}, \"${path}\")\n" PARENT_SCOPE)
  math(EXPR next "${count} + 1")
  set(count ${next} PARENT_SCOPE)
endfunction()

function(add_asset path address)
  cmake_path(GET path EXTENSION LAST_ONLY extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${path}: cmake/embed_page.cmake does not know what ${extension} is")
  endif()
  set(is_gzip false)
  set(number ${count})
  if(extension IN_LIST compressed)
    set(is_gzip true)
    file(ARCHIVE_CREATE OUTPUT ${FOLDER}/${number}.gz PATHS ${path} FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
    set(path ${FOLDER}/${number}.gz)
  endif()
  add_blob(${path})
  set(blobs "${blobs}" PARENT_SCOPE)
  set(count ${count} PARENT_SCOPE)
  set(rows "${rows}    {\"${address}\", \"${type_${extension}}\", blob_${number}(), ${is_gzip}},\n" PARENT_SCOPE)
endfunction()

add_asset(${DESCRIPTION} /openapi.json)
set(report "{}")
file(GLOB_RECURSE files RELATIVE ${DIST} ${DIST}/*)
list(SORT files)
foreach(file ${files})
  if(file STREQUAL "report.html")
    set(report "blob_${count}()")
    add_blob(${DIST}/${file})
  elseif(NOT file MATCHES "\\.map$")
    add_asset(${DIST}/${file} /${file})
  endif()
endforeach()

file(WRITE ${FOLDER}/page_assets.cpp "// Made by cmake/embed_page.cmake.
#include \"galvatron/server/page_assets.h\"

#include <algorithm>
#include <array>

// Bytes of a file between two symbols of this object.
#define GALVATRON_BLOB(number, file)                                                                                \\
  asm(\".pushsection .rodata\\n\"                                                                                     \\
      \".global galvatron_page_\" #number \"\\n.hidden galvatron_page_\" #number \"\\ngalvatron_page_\" #number \":\\n\"      \\
      \".incbin \\\"\" file \"\\\"\\n\"                                                                                     \\
      \".global galvatron_page_end_\" #number \"\\n.hidden galvatron_page_end_\" #number \"\\ngalvatron_page_end_\" #number \\
      \":\\n.byte 0\\n.popsection\\n\");                                                                                \\
  extern \"C\" __attribute__((visibility(\"hidden\"))) const char galvatron_page_##number[];                           \\
  extern \"C\" __attribute__((visibility(\"hidden\"))) const char galvatron_page_end_##number[];                       \\
  namespace {                                                                                                       \\
  std::string_view blob_##number() { return {galvatron_page_##number, galvatron_page_end_##number}; }               \\
  }

${blobs}
namespace galvatron::server {

std::span<const PageAsset> page_assets() {
  static const std::array kAssets = std::to_array<PageAsset>({
${rows}  });
  return kAssets;
}

const PageAsset* find_asset(std::string_view path) {
  const auto all = page_assets();
  const auto found = std::find_if(all.begin(), all.end(), [&](const PageAsset& one) { return one.path == path; });
  return found == all.end() ? nullptr : &*found;
}

std::string_view report_page() { return ${report}; }

}  // namespace galvatron::server
")
