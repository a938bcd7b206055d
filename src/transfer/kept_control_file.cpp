#include "transfer/kept_control_file.h"

#include <fcntl.h>

#include "transfer/publish.h"
#include "transfer/remote_path.h"

namespace ferry::transfer {

Result<KeptControlFile> keep_control_file(const fs::path& directory, const ControlFile& control) {
  if (auto made = make_directories(directory); !made) return made.error();
  KeptControlFile kept;
  kept.path = directory / control_file_name(control.batch_id);
  auto replacement = FileReplacement::begin(kept.path);
  if (!replacement) return replacement.error();
  Hasher hasher(HashAlgorithm::kSha256);
  auto written = write_json(control, [&](std::string_view text) {
    hasher.update(as_bytes(text));
    kept.size += text.size();
    return replacement->write(as_bytes(text));
  });
  if (written) written = replacement->commit();
  if (!written) return written.error();
  kept.sha256 = hasher.finish();
  auto fd = open_file(kept.path, O_RDONLY);
  if (!fd) return fd.error();
  kept.fd = std::move(*fd);
  return kept;
}

sftp::Task<Result<void>> push_control_file(Session& session, const KeptControlFile& kept,
                                           std::string remote_path, std::string_view id,
                                           const TransferOptions& options) {
  const Target target{.part_path = part_path(remote_path, id),
                      .final_path = remote_path,
                      .size = kept.size,
                      .sha256 = kept.sha256};
  const Content content{
      .read = [&kept](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        const auto count = pread_full(kept.fd.get(), buffer, offset, kept.path);
        if (!count) return count.error();
        if (*count == buffer.size()) return {};
        return make_error(ErrorKind::kCorrupt, "{}: the file was cut short", kept.path.string());
      },
      .on_acknowledged = [](std::uint64_t, std::size_t) {}};
  const auto uploaded = co_await upload_part(session, target, content, options);
  if (!uploaded) co_return uploaded;
  co_return co_await rename_part(*session.client, target);
}

}  // namespace ferry::transfer
