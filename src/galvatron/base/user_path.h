// Paths as people name them.
#pragma once
#include <filesystem>
#include <string>

namespace galvatron {

// "~/x" where no shell has put the home folder in its place, as behind "--run-dir="; "file:///x".
std::string user_path(const std::string& text);

// "out/" and links to folders as what they mean.
std::filesystem::path plain_path(const std::filesystem::path& path);

// ConfigError for the address of a place that is no folder of this machine, such as s3://bucket/x;
// `what` names it.
void refuse_address(const std::string& path, const std::string& what);

// "[file] cannot use x: File name too long", of what the standard library could not do with a path.
std::string path_problem(const std::filesystem::filesystem_error& error);

// "; it is a link to x, which is not there", or "".
std::string broken_link_text(const std::filesystem::path& path);

}  // namespace galvatron
