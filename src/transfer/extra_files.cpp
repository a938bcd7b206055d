#include "transfer/extra_files.h"

#include <algorithm>
#include <unordered_set>

#include "transfer/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

constexpr std::size_t kLanes = 32;             // directories that are listed at once
constexpr std::size_t kLongestPath = 4'000;    // a server must not lead us down for ever
constexpr std::size_t kMostNames = 5'000'000;  // nor make us collect names without end

/// Walks through a destination, several directories at once.
class Walk {
 public:
  Walk(const ReceivedControlFile& control, const std::string& root, sftp::Client& client,
       const StopToken& stop)
      : root_(root), client_(client), stop_(stop) {
    for (const ListedFile& file : control.files) listed_.insert(file.path);
  }

  Result<std::vector<Finding>> run();

 private:
  Task<void> lane();
  void take(const std::string& directory, const Result<std::vector<sftp::DirectoryEntry>>& entries);
  void take_entry(const std::string& directory, const sftp::DirectoryEntry& entry);

  const std::string& root_;
  sftp::Client& client_;
  const StopToken& stop_;
  std::unordered_set<std::string_view> listed_;
  std::vector<std::string> waiting_{""};  // directories, relative to the root
  std::vector<Finding> findings_;
};

/// Lanes end where nothing is waiting just then: what they find is for the next ones.
Result<std::vector<Finding>> Walk::run() {
  while (!waiting_.empty() && !stop_.stop_requested()) {
    for (std::size_t i = 0; i < kLanes; ++i) client_.spawn(lane());
    if (auto ran = client_.run(); !ran) return ran.error();
  }
  std::ranges::sort(findings_, {}, &Finding::path);
  return std::move(findings_);
}

Task<void> Walk::lane() {
  while (!waiting_.empty() && !stop_.stop_requested()) {
    const std::string directory = std::move(waiting_.back());
    waiting_.pop_back();
    std::string path = directory.empty() ? root_ : join_remote(root_, directory);
    const auto entries = co_await client_.list(std::move(path));
    take(directory, entries);
  }
}

void Walk::take(const std::string& directory,
                const Result<std::vector<sftp::DirectoryEntry>>& entries) {
  if (!entries) {
    const bool is_gone = entries.error().kind == ErrorKind::kNotFound;
    if (is_gone) return;
    findings_.push_back(
        {directory.empty() ? "." : directory, Verdict::kUnreadable, entries.error().message});
    return;
  }
  for (const sftp::DirectoryEntry& entry : *entries) take_entry(directory, entry);
}

void Walk::take_entry(const std::string& directory, const sftp::DirectoryEntry& entry) {
  if (!is_payload_name(entry.name)) return;
  std::string path = directory.empty() ? entry.name : join_remote(directory, entry.name);
  if (!sftp::is_directory(entry.attributes)) {
    if (listed_.contains(path)) return;
    findings_.push_back({std::move(path), Verdict::kExtra, "it is not listed"});
  } else if (entry.name.contains('/') || path.size() > kLongestPath ||
             waiting_.size() + findings_.size() > kMostNames) {
    findings_.push_back({std::move(path), Verdict::kUnreadable, "nobody can list all of it"});
  } else {
    waiting_.push_back(std::move(path));
  }
}

}  // namespace

bool is_payload_name(std::string_view name) {
  return !name.starts_with('.') && !name.ends_with(kControlFileSuffix);
}

Result<std::vector<Finding>> find_extra_files(const ReceivedControlFile& control,
                                              const std::string& directory, sftp::Client& client,
                                              const StopToken& stop) {
  return Walk(control, directory, client, stop).run();
}

}  // namespace ferry::transfer
