#include "transfer/kept_control_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "ferry/base/uuid.h"
#include "transfer/publish.h"
#include "transfer/remote_path.h"

namespace ferry::transfer {

namespace {

Result<void> write_files(const BatchJournal& journal, ControlFileWriter& writer) {
  auto visited = journal.visit_ended([&](const BatchFile& file, const BatchEnd& end) {
    if (end.failure) return Result<void>();
    return writer.add({.id = file.id,
                       .path = below(journal.info().directory, file.remote_path),
                       .size = file.size,
                       .checksum = &file.sha256,
                       .source_checksum = file.source_sha256 ? &*file.source_sha256 : nullptr});
  });
  return visited ? writer.finish() : visited;
}

}  // namespace

Result<KeptControlFile> keep_control_file(const fs::path& directory, const BatchJournal& journal,
                                          std::uint64_t count, std::uint64_t total_bytes) {
  const BatchInfo& info = journal.info();
  KeptControlFile kept;
  kept.path = directory / control_file_name(info.id);
  const ControlHeader header{.batch_id = info.id,
                             .created = info.created,
                             .agent = info.agent,
                             .destination = info.destination,
                             .count = count,
                             .total_bytes = total_bytes};
  auto replacement = FileReplacement::begin(kept.path);
  if (!replacement) return replacement.error();
  Hasher hasher(HashAlgorithm::kSha256);
  ControlFileWriter writer(header, [&](std::string_view text) {
    hasher.update(as_bytes(text));
    kept.size += text.size();
    return replacement->write(as_bytes(text));
  });
  auto written = write_files(journal, writer);
  if (written) written = replacement->commit();
  if (!written) return written.error();
  kept.sha256 = hasher.finish();
  auto fd = open_file(kept.path, O_RDONLY);
  if (!fd) return fd.error();
  kept.fd = std::move(*fd);
  return kept;
}

Result<std::uint64_t> remove_old_control_files(const fs::path& directory, Timestamp time) {
  std::uint64_t removed = 0;
  boost::system::error_code code;
  fs::directory_iterator entries(directory, code);
  if (code == boost::system::errc::no_such_file_or_directory) return removed;
  for (; !code && entries != fs::directory_iterator(); entries.increment(code)) {
    const std::string name = entries->path().filename().string();
    // What an agent left that died as it began a batch goes, too.
    const bool is_copy = name.ends_with(kControlFileSuffix);
    if (!is_copy && !name.ends_with(".journal.new")) continue;
    const auto made = time_of_uuid(name.substr(0, name.find('.')));
    if (!made || *made >= time) continue;
    if (::unlink(entries->path().c_str()) == 0) ++removed;
  }
  if (code) return errno_error(code.value(), fmt::format("look into {}", directory.string()));
  return removed;
}

sftp::Task<Result<void>> push_control_file(Session& session, const KeptControlFile& kept,
                                           std::string remote_path, std::string token,
                                           const TransferOptions& options) {
  const Target target{.part_path = part_path(remote_path, token),
                      .final_path = remote_path,
                      .size = kept.size,
                      .sha256 = kept.sha256};
  const Content content{.source = {.read = [&kept](std::uint64_t offset,
                                                   std::span<std::byte> buffer) -> Result<void> {
                          const auto count = pread_full(kept.fd.get(), buffer, offset, kept.path);
                          if (!count) return count.error();
                          if (*count == buffer.size()) return {};
                          return make_error(ErrorKind::kCorrupt, "{}: the file was cut short",
                                            kept.path.string());
                        }},
                        .on_acknowledged = [](std::uint64_t, std::size_t) {}};
  const auto uploaded = co_await upload_part(session, target, content, options);
  if (!uploaded) co_return uploaded;
  co_return co_await rename_part(*session.client, target);
}

}  // namespace ferry::transfer
