// What lies at a destination that no control file lists.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/transfer/verify.h"

namespace ferry::transfer {

/// Pure: whether a file or directory of this name is one of those that somebody put there, and is
/// neither hidden nor a control file.
bool is_payload_name(std::string_view name);

/// Pure: whether PATH is listed, or is what lies beside one that is.
bool is_accounted_for(const std::unordered_set<std::string_view>& listed, std::string_view path);

/// The extra files below DIRECTORY, by path; directories that cannot be listed are findings too.
/// Errors: those of walk_tree.
Result<std::vector<Finding>> find_extra_files(const ReceivedControlFile& control,
                                              const std::string& directory, sftp::Client& client);

}  // namespace ferry::transfer
