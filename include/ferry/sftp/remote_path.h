// Names on a server. Pure.
#pragma once

#include <string>
#include <string_view>

namespace ferry::sftp {

/// DIRECTORY and RELATIVE with one '/' between them.
std::string join_remote(std::string_view directory, std::string_view relative);

/// All before the last '/'; "." for a bare name, "/" for a name at the root.
std::string remote_parent(std::string_view path);

}  // namespace ferry::sftp
