// What a file is that somebody dropped on the page or gave on the command line, told by what it
// holds: Opened of visualizer/src/api/types.ts.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "galvatron/base/json.h"

namespace galvatron::server {

// Of a folder its files that we know; a single file is a folder of one.
using FileTexts = std::map<std::string, std::string>;

// {"kind", "name", "title", "content"}. `name`: of the file or the folder. ConfigError for what is
// none of the kinds, naming them, and for a file that its own reader refuses.
OrderedJson identify(const std::string& name, const FileTexts& files);

// ConfigError where nothing is there or it is larger than a request may be.
FileTexts read_texts(const std::filesystem::path& path, Bytes limit);

}  // namespace galvatron::server
