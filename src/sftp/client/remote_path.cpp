#include "ferry/sftp/remote_path.h"

#include <fmt/format.h>

namespace ferry::sftp {

std::string join_remote(std::string_view directory, std::string_view relative) {
  if (directory.empty()) return std::string(relative);
  const bool has_slash = directory.ends_with('/');
  return fmt::format("{}{}{}", directory, has_slash ? "" : "/", relative);
}

std::string remote_parent(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

}  // namespace ferry::sftp
