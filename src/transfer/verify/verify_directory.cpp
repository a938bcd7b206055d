#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <boost/filesystem/directory.hpp>
#include <thread>
#include <unordered_set>

#include "ferry/base/directory.h"
#include "ferry/transfer/verify.h"
#include "transfer/deliver/verdict.h"
#include "transfer/verify/extra_files.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr unsigned kMostThreads = 8;

/// Threads take one file after the other.
class DirectoryCheck {
 public:
  DirectoryCheck(const ReceivedControlFile& control, int root_fd, StopToken& stop)
      : control_(control), root_fd_(root_fd), stop_(stop), found_(control.files.size()) {}

  Result<Verification> run();

 private:
  void take_files();
  std::optional<Finding> check(const ListedFile& file);
  std::optional<Finding> check_content(const ListedFile& file, int fd);

  const ReceivedControlFile& control_;
  const int root_fd_;
  StopToken& stop_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::uint64_t> bytes_{0};
  FindingsByFile found_;
};

Result<Verification> DirectoryCheck::run() {
  const auto useful = std::min<std::size_t>(control_.files.size(), kMostThreads);
  const auto count = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, useful + 1);
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < count; ++i) threads.emplace_back([this] { take_files(); });
  take_files();
  threads.clear();
  if (stop_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
  return collect(found_, bytes_);
}

void DirectoryCheck::take_files() {
  while (!stop_.stop_requested()) {
    const std::size_t index = next_++;
    if (index >= control_.files.size()) return;
    if (auto finding = check(control_.files[index])) {
      found_[index] = std::make_unique<Finding>(std::move(*finding));
    }
  }
}

std::optional<Finding> DirectoryCheck::check(const ListedFile& file) {
  // Without waiting for a FIFO's writer.
  const auto fd = open_beneath(root_fd_, file.path, O_RDONLY);
  if (!fd) {
    const Error& error = fd.error();
    if (error.kind == ErrorKind::kNotFound) {
      return finding(file, Verdict::kMissing, "it is not there");
    }
    if (error.kind == ErrorKind::kAbnormal) {
      return finding(file, Verdict::kChanged, "there is a symbolic link, which is not followed");
    }
    return finding(file, Verdict::kUnreadable, error.message);
  }
  const auto status = stat_fd(fd->get(), file.path);
  if (!status) return finding(file, Verdict::kUnreadable, status.error().message);
  if (!S_ISREG(status->st_mode)) {
    return finding(file, Verdict::kChanged, "it is not a regular file");
  }
  if (auto wrong = judge_size(file, static_cast<std::uint64_t>(status->st_size))) return wrong;
  return check_content(file, fd->get());
}

std::optional<Finding> DirectoryCheck::check_content(const ListedFile& file, int fd) {
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  Hasher hasher(file.checksum.algorithm);
  std::vector<std::byte> block(kBlockBytes);
  for (std::uint64_t offset = 0; !stop_.stop_requested();) {
    const auto count = pread_full(fd, block, offset, file.path);
    if (!count) return finding(file, Verdict::kUnreadable, count.error().message);
    hasher.update(std::span(block).first(*count));
    offset += *count;
    bytes_ += *count;
    if (*count < block.size()) break;
  }
  return judge_content(file, hasher.finish());
}

/// The files below a directory that no control file lists.
class ExtraFiles {
 public:
  explicit ExtraFiles(const ReceivedControlFile& control) {
    for (const ListedFile& file : control.files) listed_.insert(file.path);
  }

  std::vector<Finding> find(const fs::path& root) {
    look_into(root, "");
    std::ranges::sort(findings_, {}, &Finding::path);
    return std::move(findings_);
  }

 private:
  void look_into(const fs::path& directory, const std::string& prefix);
  void look_at(const fs::directory_entry& entry, const std::string& prefix);

  std::unordered_set<std::string_view> listed_;
  std::vector<Finding> findings_;
};

void ExtraFiles::look_into(const fs::path& directory, const std::string& prefix) {
  boost::system::error_code error;
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    look_at(*entries, prefix);
  }
  if (error) {
    findings_.push_back({prefix.empty() ? "." : prefix, Verdict::kUnreadable, error.message()});
  }
}

void ExtraFiles::look_at(const fs::directory_entry& entry, const std::string& prefix) {
  const std::string name = entry.path().filename().string();
  if (!is_payload_name(name)) return;
  const std::string path = prefix + name;
  boost::system::error_code error;
  if (entry.symlink_status(error).type() == fs::directory_file) {
    look_into(entry.path(), path + "/");
  } else if (!is_accounted_for(listed_, path)) {
    findings_.push_back({path, Verdict::kExtra, "it is not listed"});
  }
}

}  // namespace

Result<Verification> verify_directory(const ReceivedControlFile& control, const fs::path& directory,
                                      const VerifyOptions& options, StopToken& stop) {
  const auto root = open_file(directory, O_PATH | O_DIRECTORY);
  if (!root) return root.error();
  auto verification = DirectoryCheck(control, root->get(), stop).run();
  if (verification && options.strict) {
    auto extra = ExtraFiles(control).find(directory);
    std::ranges::move(extra, std::back_inserter(verification->findings));
  }
  return verification;
}

}  // namespace ferry::transfer
