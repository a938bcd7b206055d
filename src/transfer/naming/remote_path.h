// Names at the destination. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferry/sftp/remote_path.h"

namespace ferry::transfer {

using sftp::join_remote;

/// What join_remote made PATH of, with this DIRECTORY.
std::string_view below(std::string_view directory, std::string_view path);

/// What tells the part file of try number N, to deliver file ID in a batch, from all others.
std::string part_token(std::string_view batch_id, std::string_view id, unsigned n);

/// The name under which FINAL_PATH grows: ".<name>.<token>.part" beside it, the name cut so that it
/// is no longer than the final name, unless that is short, and leaves servers room for a prefix.
std::string part_path(std::string_view final_path, std::string_view token);

/// The name, perhaps cut, that a part file called NAME grows for: see part_path. Nothing: it is not
/// one.
std::optional<std::string_view> name_of_part(std::string_view name);

/// The name under which what FINAL_PATH had is kept: ".<name>.<token>.old" beside it, cut likewise.
std::string aside_path(std::string_view final_path, std::string_view token);

/// True for a path, or one name in it, that the usual file systems do not take.
bool is_too_long(std::string_view path);

}  // namespace ferry::transfer
