#include "landing/remote_listing.h"

#include <algorithm>
#include <span>

#include "ferry/sftp/remote_path.h"
#include "landing/scan.h"

namespace ferry::landing {
namespace {

using sftp::Client;
using sftp::Task;

/// A server must not make us collect names without end.
constexpr std::size_t kMostFiles = 5'000'000;
constexpr std::size_t kLongestPath = 4'000;
/// Fewer than the handles that servers keep open.
constexpr std::size_t kDirectoriesAtOnce = 32;

struct Looked {
  std::string directory;
  Result<std::vector<sftp::DirectoryEntry>> entries;
};

std::string path_of(const std::string& root, const std::string& directory) {
  return directory.empty() ? root : sftp::join_remote(root, directory);
}

Task<void> look(Client& client, std::string path, Looked& looked) {
  looked.entries = co_await client.list(std::move(path));
}

bool ends_connection(const Error& error) {
  return error.kind == ErrorKind::kConnectionLost || error.kind == ErrorKind::kProtocol ||
         error.kind == ErrorKind::kCancelled;
}

std::string_view kind_name(const sftp::Attributes& attributes) {
  constexpr std::uint32_t kSymbolicLink = 0120000;
  const auto type = attributes.permissions.value_or(0) & sftp::kTypeMask;
  return type == kSymbolicLink ? "it is a symbolic link" : "it is not a regular file";
}

class Walk {
 public:
  Walk(Client& client, const std::string& root, const IgnoreRules& ignore)
      : client_(client), root_(root), ignore_(ignore) {}

  Result<RemoteListing> run() {
    std::vector<std::string> level{""};
    while (!level.empty()) {
      for (auto rest = std::span(level); !rest.empty();) {
        const auto group = rest.first(std::min(kDirectoriesAtOnce, rest.size()));
        if (auto listed = list(group); !listed) return listed.error();
        rest = rest.subspan(group.size());
      }
      level = std::exchange(below_, {});
    }
    return std::move(listing_);
  }

 private:
  Result<void> list(std::span<const std::string> directories) {
    std::vector<Looked> group;
    group.reserve(directories.size());
    for (const std::string& directory : directories) {
      Looked& looked = group.emplace_back(directory, std::vector<sftp::DirectoryEntry>());
      client_.spawn(look(client_, path_of(root_, directory), looked));
    }
    if (auto ran = client_.run(); !ran) return ran;
    for (const Looked& looked : group) {
      if (auto taken = take(looked); !taken) return taken;
    }
    return {};
  }

  Result<void> take(const Looked& looked) {
    ++listing_.directories;
    if (!looked.entries) {
      const Error& error = looked.entries.error();
      if (looked.directory.empty() || ends_connection(error)) {
        return error.with_context(path_of(root_, looked.directory));
      }
      // Vanished: it is just not there.
      if (error.kind != ErrorKind::kNotFound) {
        listing_.unreadable.push_back({looked.directory, error.message});
      }
      return {};
    }
    for (const sftp::DirectoryEntry& entry : *looked.entries) {
      take_entry(join(looked.directory, entry.name), entry);
    }
    if (listing_.files.size() + below_.size() > kMostFiles) {
      return make_error(ErrorKind::kFailed, "more than {} files in one landing area", kMostFiles);
    }
    return {};
  }

  void take_entry(std::string path, const sftp::DirectoryEntry& entry) {
    const bool is_directory = sftp::is_directory(entry.attributes);
    if (is_directory ? is_hidden(entry.name) : ignore_.ignores_file(path)) return;
    if (const auto problem = name_problem(entry.name)) return skip(std::move(path), *problem);
    if (path.size() > kLongestPath) return skip(std::move(path), "its path is too long");
    if (is_directory) {
      below_.push_back(std::move(path));
      return;
    }
    if (!sftp::is_regular(entry.attributes)) {
      return skip(std::move(path), kind_name(entry.attributes));
    }
    const auto identity = sftp::identity_of(entry.attributes);
    if (!identity) return skip(std::move(path), "the server does not tell its size and time");
    listing_.files.push_back({std::move(path), *identity});
  }

  void skip(std::string path, std::string_view reason) {
    listing_.skipped.push_back({std::move(path), std::string(reason)});
  }

  Client& client_;
  const std::string& root_;
  const IgnoreRules& ignore_;
  std::vector<std::string> below_;
  RemoteListing listing_;
};

}  // namespace

Result<RemoteListing> list_remote(Client& client, const std::string& directory,
                                  const IgnoreRules& ignore) {
  return Walk(client, directory, ignore).run();
}

}  // namespace ferry::landing
