#include "ferry/base/kept_batches.h"

#include <fcntl.h>

#include <array>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <cerrno>

#include "ferry/base/uuid.h"

namespace ferry {
namespace {

constexpr std::size_t kHeadBytes = 4096;
constexpr std::string_view kFiles = ",\"files\":[";

}  // namespace

Result<std::vector<std::string>> KeptBatches::ids() const {
  std::vector<std::string> ids;
  boost::system::error_code error;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.ends_with(kControlFileSuffix)) continue;
    name.resize(name.size() - kControlFileSuffix.size());
    if (is_uuid(name)) ids.push_back(std::move(name));
  }
  if (error && error.value() != ENOENT) return errno_error(error.value(), directory_.string());
  return ids;
}

fs::path KeptBatches::control_file(std::string_view id) const {
  return directory_ / std::string(id).append(kControlFileSuffix);
}

bool KeptBatches::is_complete(std::string_view id) const {
  boost::system::error_code ignored;
  return !fs::exists(directory_ / std::string(id).append(kBatchJournalSuffix), ignored);
}

Result<Json> KeptBatches::head(std::string_view id) const {
  const fs::path path = control_file(id);
  const auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd.error();
  std::array<char, kHeadBytes> block{};
  const auto count = pread_full(fd->get(), std::as_writable_bytes(std::span(block)), 0, path);
  if (!count) return count.error();
  const std::string_view text(block.data(), *count);
  Json head = Json::parse(std::string(text.substr(0, text.find(kFiles))) + "}", nullptr, false);
  return head.is_object() ? head : Json::object();
}

}  // namespace ferry
