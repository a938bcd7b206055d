// Names at the destination. Pure.
#pragma once

#include <string>
#include <string_view>

#include "ferry/sftp/remote_path.h"

namespace ferry::transfer {

using sftp::join_remote;
using sftp::remote_parent;

/// What join_remote made PATH of, with this DIRECTORY.
std::string_view below(std::string_view directory, std::string_view path);

/// The name under which FINAL_PATH grows: ".<name>.<id>.part" beside it, the name cut where the
/// whole would be longer than the 255 bytes that file systems allow.
std::string part_path(std::string_view final_path, std::string_view id);

/// True for a path, or one name in it, that the usual file systems do not take.
bool is_too_long(std::string_view path);

}  // namespace ferry::transfer
