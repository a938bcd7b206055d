#include "ferry/landing/area_facts.h"

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <charconv>

#include "ferry/sftp/client.h"
#include "landing/root.h"

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

}  // namespace

Result<bool> is_on_network(const fs::path& path) {
  const auto root = Root::find(path);
  if (!root) return root.error();
  return !root->is_local();
}

Result<std::uint64_t> count_directories(const fs::path& area) {
  std::uint64_t count = 1;
  boost::system::error_code code;
  fs::directory_iterator entries(area, code);
  for (; !code && entries != fs::directory_iterator(); entries.increment(code)) {
    if (entries->path().filename().string().starts_with('.')) continue;
    boost::system::error_code unknown;
    if (entries->symlink_status(unknown).type() != fs::directory_file) continue;
    const auto below = count_directories(entries->path());
    if (!below) return below;
    count += *below;
  }
  if (code) return errno_error(code.value(), fmt::format("look into {}", area.string()));
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
