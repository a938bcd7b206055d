#include "ferry/sftp/remote_directories.h"

#include <fmt/format.h>

#include "ferry/sftp/remote_path.h"

namespace ferry::sftp {

Task<Result<void>> RemoteDirectories::ensure(std::string directory) {
  const auto [found, is_new] = outcomes_.try_emplace(directory);
  SharedResult<Result<void>>& shared = found->second;
  if (is_new) {
    const auto outcome = co_await make(std::move(directory));
    shared.set(outcome);  // those who wait take it at once
    if (!outcome) outcomes_.erase(found);
    co_return outcome;
  }
  co_return co_await shared;
}

Task<Result<void>> RemoteDirectories::make(std::string directory) {
  const auto there = co_await is_directory(directory);
  if (!there) co_return there.error();
  if (*there) co_return Result<void>();
  const std::string parent = parent_of(directory);
  if (parent != directory && parent != ".") {
    const auto parent_there = co_await ensure(parent);
    if (!parent_there) co_return parent_there;
  }
  const auto made = co_await client_.mkdir(directory);
  if (made) co_return made;
  // Another agent may have made it between our two requests.
  const auto there_now = co_await is_directory(directory);
  if (there_now && *there_now) co_return Result<void>();
  Error error = made.error().with_context("create remote directory " + directory);
  if (parent == "/" && error.kind == ErrorKind::kDenied) {
    error.message +=
        fmt::format(" (sftp://HOST/~{} would be in the account's home directory)", directory);
  }
  co_return error;
}

Task<Result<bool>> RemoteDirectories::is_directory(std::string path) {
  const auto attributes = co_await client_.stat(path);
  if (!attributes) {
    if (attributes.error().kind == ErrorKind::kNotFound) co_return false;
    co_return attributes.error().with_context("look at remote directory " + path);
  }
  if (attributes->permissions && !sftp::is_directory(*attributes)) {
    co_return make_error(ErrorKind::kDenied, "remote directory {}: there is a file of that name",
                         path);
  }
  co_return true;
}

}  // namespace ferry::sftp
