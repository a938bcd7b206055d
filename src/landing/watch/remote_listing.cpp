#include "landing/watch/remote_listing.h"

#include "ferry/sftp/directory_tree.h"
#include "landing/watch/scan.h"

namespace ferry::landing {
namespace {

std::string_view kind_name(const sftp::Attributes& attributes) {
  const auto type = attributes.permissions.value_or(0) & sftp::kTypeMask;
  return type == sftp::kTypeSymbolicLink ? "it is a symbolic link" : "it is not a regular file";
}

class Listing {
 public:
  explicit Listing(const IgnoreRules& ignore) : ignore_(ignore) { listing_.directories = 1; }

  /// Whether it is a directory to go into.
  bool take(const std::string& path, const sftp::DirectoryEntry& entry) {
    const bool is_directory = sftp::is_directory(entry.attributes);
    if (is_directory && is_hidden(entry.name)) {
      ++listing_.ignored.hidden_directories;
      return false;
    }
    if (const auto rule = is_directory ? std::nullopt : ignore_.find_rule(path)) {
      count(listing_.ignored, *rule);
      return false;
    }
    if (const auto problem = name_problem(entry.name)) return skip(path, *problem);
    if (is_directory) {
      ++listing_.directories;
      return true;
    }
    if (!sftp::is_regular(entry.attributes)) return skip(path, kind_name(entry.attributes));
    const auto identity = sftp::identity_of(entry.attributes);
    if (!identity) return skip(path, "the server does not tell its size and time");
    listing_.files.push_back({path, *identity});
    return false;
  }

  void take_unreadable(const std::string& path, const std::string& reason) {
    listing_.unreadable.push_back({path, reason});
  }

  RemoteListing result() { return std::move(listing_); }

 private:
  bool skip(const std::string& path, std::string_view reason) {
    listing_.skipped.push_back({path, std::string(reason)});
    return false;
  }

  const IgnoreRules& ignore_;
  RemoteListing listing_;
};

}  // namespace

Result<RemoteListing> list_remote(sftp::Client& client, const std::string& directory,
                                  const IgnoreRules& ignore) {
  Listing listing(ignore);
  const auto walked = client.loop().wait_for(sftp::walk_tree(
      client, directory,
      {.entry = [&](const auto& path, const auto& entry) { return listing.take(path, entry); },
       .unreadable = [&](const auto& path,
                         const auto& reason) { listing.take_unreadable(path, reason); }}));
  if (!walked) return walked.error();
  return listing.result();
}

}  // namespace ferry::landing
