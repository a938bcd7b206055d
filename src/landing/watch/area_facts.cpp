#include "ferry/landing/area_facts.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "ferry/sftp/client.h"
#include "landing/watch/ignore.h"
#include "landing/watch/root.h"
#include "landing/watch/scan.h"

namespace ferry::landing {
namespace {

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

bool is_never_registered(const std::string& path) {
  return IgnoreRules().ignores_file(path);
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
  sftp::EventLoop loop(stop);
  const auto client = loop.wait_for(sftp::Client::connect(location.connect, {}, loop));
  if (!client) return client.error();
  const auto names = loop.wait_for((*client)->list(location.directory));
  if (!names) return names.error().with_context("list " + location.directory);
  return names->size();
}

Result<std::uint64_t> watch_limit() {
  const auto text = read_file("/proc/sys/fs/inotify/max_user_watches");
  if (!text) return text.error();
  std::uint64_t limit = 0;
  std::from_chars(text->data(), text->data() + text->size(), limit);
  return limit;
}

}  // namespace ferry::landing
