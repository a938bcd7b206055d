// Names on a server. Pure.
#pragma once

#include <string>
#include <string_view>

#include "ferry/base/path.h"

namespace ferry::sftp {

/// DIRECTORY and RELATIVE with one '/' between them.
std::string join_remote(std::string_view directory, std::string_view relative);

}  // namespace ferry::sftp
