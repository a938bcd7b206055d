#include "transfer/deliver/removal.h"

#include <utility>

namespace ferry::transfer {
namespace {

using sftp::Task;

constexpr std::size_t kSideBySide = 32;

Task<void> remove(Session& session, std::string path, std::uint64_t& removed) {
  const auto gone = co_await session.client->remove(std::move(path));
  if (gone) ++removed;
}

}  // namespace

Task<Result<void>> remove_leftover(sftp::Client& client, std::string path) {
  const auto removed = co_await client.remove(path);
  if (removed || removed.error().kind != ErrorKind::kFailed) co_return removed;
  co_return co_await client.remove(std::move(path));
}

Task<Result<std::uint64_t>> remove_side_by_side(Session& session, std::vector<std::string> paths) {
  std::uint64_t removed = 0;
  for (auto path = paths.begin(); path != paths.end();) {
    sftp::TaskGroup removing(*session.loop);
    for (; path != paths.end() && removing.size() < kSideBySide; ++path) {
      removing.spawn(remove(session, std::move(*path), removed));
    }
    co_await removing;
    if (const auto& error = session.client->error()) co_return *error;
  }
  co_return removed;
}

}  // namespace ferry::transfer
