#include "ferry/sftp/directory_tree.h"

#include <optional>
#include <vector>

#include "ferry/sftp/remote_path.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {
namespace {

/// Fewer than the handles that servers keep open.
constexpr std::size_t kDirectoriesAtOnce = 32;

class Walk {
 public:
  Walk(Client& client, const std::string& root, const TreeVisitor& visitor)
      : client_(client), root_(root), visitor_(visitor) {}

  /// Lanes end when nothing waits: what is found meanwhile is for the next ones.
  Task<Result<void>> run() {
    while (!waiting_.empty() && !failure_) {
      TaskGroup lanes(client_.loop());
      for (std::size_t i = 0; i < kDirectoriesAtOnce; ++i) lanes.spawn(lane());
      co_await lanes;
    }
    if (failure_) co_return *failure_;
    co_return Result<void>();
  }

 private:
  Task<void> lane() {
    while (!waiting_.empty() && !failure_) {
      const std::string directory = std::move(waiting_.back());
      waiting_.pop_back();
      const auto entries = co_await client_.list(remote_path(directory));
      take(directory, entries);
    }
  }

  std::string remote_path(const std::string& directory) const {
    return directory.empty() ? root_ : join_remote(root_, directory);
  }

  void take(const std::string& directory, const Result<std::vector<DirectoryEntry>>& entries) {
    if (entries) {
      for (const DirectoryEntry& entry : *entries) take_entry(directory, entry);
    } else if (directory.empty() || ends_connection(entries.error().kind)) {
      failure_ = entries.error().with_context(remote_path(directory));
    } else if (entries.error().kind != ErrorKind::kNotFound) {
      visitor_.unreadable(directory, entries.error().message);
    }
  }

  void take_entry(const std::string& directory, const DirectoryEntry& entry) {
    std::string path = join_remote(directory, entry.name);
    bytes_ += path.size();
    if (++names_ > kMaxTreeNames) {
      failure_ =
          make_error(ErrorKind::kFailed, "more than {} names below {}", kMaxTreeNames, root_);
    } else if (bytes_ > kMaxTreeBytes) {
      failure_ = make_error(ErrorKind::kFailed, "more than {} MiB of names below {}",
                            kMaxTreeBytes >> 20, root_);
    } else if (path.size() > kMaxTreePathBytes) {
      visitor_.unreadable(path, "its path is too long");
    } else if (visitor_.entry(path, entry) && is_directory(entry.attributes)) {
      waiting_.push_back(std::move(path));
    }
  }

  Client& client_;
  const std::string& root_;
  const TreeVisitor& visitor_;
  std::vector<std::string> waiting_{""};  // directories, relative to the root
  std::size_t names_ = 0;
  std::size_t bytes_ = 0;
  std::optional<Error> failure_;
};

}  // namespace

Task<Result<void>> walk_tree(Client& client, std::string directory, TreeVisitor visitor) {
  Walk walk(client, directory, visitor);
  co_return co_await walk.run();
}

}  // namespace ferry::sftp
