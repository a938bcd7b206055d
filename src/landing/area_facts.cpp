#include "ferry/landing/area_facts.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "ferry/sftp/client.h"
#include "landing/ignore.h"
#include "landing/root.h"
#include "landing/scan.h"

namespace ferry::landing {
namespace {

sftp::Task<void> list(sftp::Client& client, std::string directory, Result<std::uint64_t>& count) {
  const auto names = co_await client.list(std::move(directory));
  if (names) {
    count = names->size();
  } else {
    count = names.error();
  }
}

/// What a watcher does not watch either: it went away, or its path is too long.
bool is_left_out(const Error& error) {
  return error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kAbnormal ||
         error.os_code == ENAMETOOLONG;
}

}  // namespace

Result<bool> is_on_network(const fs::path& path) {
  const auto root = Root::find(path);
  if (!root) return root.error();
  return !root->is_local();
}

Result<std::uint64_t> count_directories(const fs::path& area) {
  const auto root = open_file(area, O_RDONLY | O_DIRECTORY);
  if (!root) return root.error();
  std::uint64_t count = 0;
  for (std::vector<std::string> left{""}; !left.empty();) {
    const std::string directory = std::move(left.back());
    left.pop_back();
    auto reader = DirectoryReader::open(root->get(), directory);
    if (!reader && is_left_out(reader.error())) continue;
    if (!reader) return reader.error();
    ++count;
    for (;;) {
      const auto entry = reader->next();
      if (!entry) return entry.error();
      if (!*entry) break;
      if ((*entry)->directory && !is_hidden((*entry)->name)) {
        left.push_back(join(directory, (*entry)->name));
      }
    }
  }
  return count;
}

Result<std::uint64_t> count_names(const sftp::Location& location, StopToken& stop) {
  const auto client = sftp::Client::connect(location.connect, {}, stop);
  if (!client) return client.error();
  Result<std::uint64_t> count = 0;
  (*client)->spawn(list(**client, location.directory, count));
  // An error of the connection is the listing's, too.
  [[maybe_unused]] const auto ran = (*client)->run();
  if (!count) return count.error().with_context("list " + location.directory);
  return count;
}

Result<std::uint64_t> watch_limit() {
  const auto text = read_file("/proc/sys/fs/inotify/max_user_watches");
  if (!text) return text.error();
  std::uint64_t limit = 0;
  std::from_chars(text->data(), text->data() + text->size(), limit);
  return limit;
}

}  // namespace ferry::landing
