# The page inside the binary: every file of visualizer/dist, and the description of the API.
#   galvatron_embed_page(TARGET)
include_guard()

# A wheel is built where nobody called make.
if(SKBUILD)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/page.sh COMMAND_ERROR_IS_FATAL ANY)
endif()

function(galvatron_embed_page target)
  set(dist ${CMAKE_SOURCE_DIR}/visualizer/dist)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${dist}/*)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/page)
  set(description ${CMAKE_SOURCE_DIR}/docs/openapi.json)
  add_custom_command(
    OUTPUT ${folder}/page_assets.cpp
    COMMAND ${CMAKE_COMMAND} -DDIST=${dist} -DDESCRIPTION=${description} -DFOLDER=${folder}
            -P ${CMAKE_SOURCE_DIR}/cmake/embed_page.cmake
    DEPENDS ${files} ${description} ${CMAKE_SOURCE_DIR}/cmake/embed_page.cmake
    COMMENT "Embedding the page" VERBATIM)
  # Its own object: what .incbin reads is known to no compiler cache, and changes with the source.
  set_source_files_properties(${folder}/page_assets.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE ${folder}/page_assets.cpp)
endfunction()
