// Uploads to a directory of this host.
//
// All names are resolved below the area's directory, without symbolic links (openat2(2)), and given
// by renameat2(2). What a file replaces keeps the temporary name until all files have theirs, so
// that it can be put back.
#pragma once

#include "landing/upload/upload_place.h"
#include "landing/watch/root.h"

namespace ferry::landing {

class LocalPlace final : public UploadPlace {
 public:
  explicit LocalPlace(Root root) : root_(std::move(root)) {}

  std::optional<std::uint64_t> root() const override { return root_.inode(); }
  bool can_exchange() const override { return true; }
  Result<std::unique_ptr<Staging>> stage(const std::string& temporary) override;
  Result<std::optional<std::string>> judge(const StagedFile& file, const AcceptancePolicy& policy,
                                           const std::string& landing,
                                           const StopToken& stop) override;
  Result<void> publish(std::span<const StagedFile> files, Replace replace) override;
  Result<std::vector<std::optional<FileIdentity>>> occupants(
      std::span<const StagedFile> files) override;
  Result<std::vector<std::optional<FileIdentity>>> identities(
      std::span<const StagedFile> files) override;
  Result<std::size_t> discard(std::span<const std::string> temporaries) override;

 private:
  /// Never kNotFound: what is below it is not gone because the directory is.
  Result<UniqueFd> open_root() const;
  Result<UniqueFd> make_directory(int root_fd, const std::string& directory);

  Root root_;
  std::vector<std::string> made_;  // directories, parents first
  std::optional<Error> not_undone_;
};

}  // namespace ferry::landing
