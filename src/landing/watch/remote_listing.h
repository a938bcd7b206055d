// What lies in a landing area on a server, at one look.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "landing/watch/ignore.h"

namespace ferry::landing {

struct RemoteListing {
  struct File {
    std::string path;
    FileIdentity identity;
  };
  /// Something that is left out, and why.
  struct Skipped {
    std::string path;
    std::string reason;
  };
  std::vector<File> files;  // those that may be registered
  std::vector<Skipped> skipped;
  std::vector<Skipped> unreadable;  // directories: what is below them is unknown
  std::uint64_t directories = 0;
  IgnoredCounts ignored = {};
};

/// Errors: those of walk_tree.
Result<RemoteListing> list_remote(sftp::Client& client, const std::string& directory,
                                  const IgnoreRules& ignore);

}  // namespace ferry::landing
