#include "transfer/verify/extra_files.h"

#include <algorithm>

#include "ferry/sftp/directory_tree.h"

namespace ferry::transfer {

bool is_payload_name(std::string_view name) {
  if (name.starts_with('.')) return false;
  if (name.ends_with(kSignatureSuffix)) name.remove_suffix(kSignatureSuffix.size());
  return !name.ends_with(kControlFileSuffix) && !name.ends_with(kSumsSuffix);
}

bool is_accounted_for(const std::unordered_set<std::string_view>& listed, std::string_view path) {
  if (listed.contains(path)) return true;
  for (const Sidecar sidecar : {Sidecar::kSha256, Sidecar::kDone}) {
    const std::string_view suffix = suffix_of(sidecar);
    if (path.ends_with(suffix) && listed.contains(path.substr(0, path.size() - suffix.size()))) {
      return true;
    }
  }
  return false;
}

Result<std::vector<Finding>> find_extra_files(const ReceivedControlFile& control,
                                              const std::string& directory, sftp::Client& client) {
  std::unordered_set<std::string_view> listed;
  for (const ListedFile& file : control.files) listed.insert(file.path);
  std::vector<Finding> findings;
  const auto walked = client.loop().wait_for(
      sftp::walk_tree(client, directory,
                      {.entry =
                           [&](const std::string& path, const sftp::DirectoryEntry& entry) {
                             if (!is_payload_name(entry.name)) return false;
                             const bool is_file = !sftp::is_directory(entry.attributes);
                             if (is_file && !is_accounted_for(listed, path)) {
                               findings.push_back({path, Verdict::kExtra, "it is not listed"});
                             }
                             return true;
                           },
                       .unreadable =
                           [&](const std::string& path, const std::string& reason) {
                             findings.push_back({path, Verdict::kUnreadable, reason});
                           }}));
  if (!walked) return walked.error();
  std::ranges::sort(findings, {}, &Finding::path);
  return findings;
}

}  // namespace ferry::transfer
