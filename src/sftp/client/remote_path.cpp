#include "ferry/sftp/remote_path.h"

#include <fmt/format.h>

namespace ferry::sftp {

std::string join_remote(std::string_view directory, std::string_view relative) {
  if (directory.empty()) return std::string(relative);
  const bool has_slash = directory.ends_with('/');
  return fmt::format("{}{}{}", directory, has_slash ? "" : "/", relative);
}

}  // namespace ferry::sftp
