// Files that are not what their names say.
#pragma once
#include <string>
#include <string_view>

namespace galvatron {

// What a file is that begins like this, and what to do: "a pointer of Git LFS, not the file: fetch
// it with git lfs pull". "" for nothing that we know.
std::string foreign_content(std::string_view begin);

}  // namespace galvatron
