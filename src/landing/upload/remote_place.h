// Uploads to a directory on a server.
#pragma once

#include "ferry/sftp/client.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/remote_directories.h"
#include "landing/upload/upload_place.h"

namespace ferry::landing {

/// What a file replaces there cannot be put back. Of several files whose names were to be given,
/// those that had nothing of that name before are taken back where one fails.
class RemotePlace final : public UploadPlace {
 public:
  /// LOCATION and STOP must outlive the place.
  static Result<std::unique_ptr<UploadPlace>> open(const sftp::Location& location, StopToken& stop);

  Result<std::unique_ptr<Staging>> stage(const std::string& temporary) override;
  bool can_exchange() const override { return false; }
  /// Without the validating command: it reads local files.
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
  class Remote;
  enum class Published : std::uint8_t { kNew, kReplaced, kAlready };

  RemotePlace(std::unique_ptr<sftp::EventLoop> loop, std::unique_ptr<sftp::Client> client,
              std::string directory);

  sftp::Task<Result<sftp::Handle>> create(std::string path);
  sftp::Task<Result<FileIdentity>> finish(const sftp::Handle& handle, std::string path);
  sftp::Task<Result<std::vector<std::byte>>> head_of(std::string path, std::size_t size);
  sftp::Task<Result<Published>> publish_one(const StagedFile& file, Replace replace);
  sftp::Task<Result<void>> check_newer(const StagedFile& file,
                                       const Result<sftp::Attributes>& there);
  sftp::Task<Result<void>> take_back(const StagedFile& file);
  sftp::Task<Result<std::optional<FileIdentity>>> occupant(std::string path);
  sftp::Task<Result<std::size_t>> remove(std::span<const std::string> temporaries);

  std::string at(const std::string& path) const;

  std::unique_ptr<sftp::EventLoop> loop_;
  std::unique_ptr<sftp::Client> client_;
  std::string directory_;
  sftp::RemoteDirectories directories_;
  std::optional<Error> not_undone_;
};

}  // namespace ferry::landing
