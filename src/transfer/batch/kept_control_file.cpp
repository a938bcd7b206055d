#include "transfer/batch/kept_control_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "ferry/base/uuid.h"
#include "ferry/transfer/control_signature.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {

namespace {

/// A file of ours that is written, hashed and then kept open.
class Keeping {
 public:
  static Result<Keeping> begin(fs::path path) {
    auto replacement = FileReplacement::begin(path);
    if (!replacement) return replacement.error();
    return Keeping(std::move(path), std::move(*replacement));
  }

  Result<void> write(std::string_view text) {
    hasher_.update(as_bytes(text));
    kept_.size += text.size();
    return replacement_.write(as_bytes(text));
  }

  Result<KeptFile> finish() {
    if (auto committed = replacement_.commit(); !committed) return committed.error();
    kept_.sha256 = hasher_.finish();
    auto fd = open_file(kept_.path, O_RDONLY);
    if (!fd) return fd.error();
    kept_.fd = std::move(*fd);
    return std::move(kept_);
  }

 private:
  Keeping(fs::path path, FileReplacement replacement)
      : kept_{.path = std::move(path), .fd = {}, .size = 0, .sha256 = {}},
        replacement_(std::move(replacement)) {}

  KeptFile kept_;
  FileReplacement replacement_;
  Hasher hasher_{HashAlgorithm::kSha256};
};

/// Calls VISITOR with each delivered file and its path below the destination's directory.
Result<void> visit_delivered(
    const BatchJournal& journal,
    const std::function<Result<void>(const BatchFile& file, std::string_view path)>& visitor) {
  return journal.visit_ended([&](const BatchFile& file, const BatchEnd& end) {
    if (!end.is_delivery()) return Result<void>();
    return visitor(file, below(journal.info().directory, file.remote_path));
  });
}

Result<KeptFile> keep_json(const fs::path& directory, const BatchJournal& journal,
                           std::uint64_t count, std::uint64_t total_bytes) {
  const BatchInfo& info = journal.info();
  auto kept = Keeping::begin(directory / control_file_name(info.id));
  if (!kept) return kept.error();
  const ControlHeader header{.batch_id = info.id,
                             .created = info.created,
                             .agent = info.agent,
                             .destination = info.destination,
                             .count = count,
                             .total_bytes = total_bytes};
  ControlFileWriter writer(header, [&](std::string_view text) { return kept->write(text); });
  auto written = visit_delivered(journal, [&](const BatchFile& file, std::string_view path) {
    return writer.add({.id = file.id,
                       .path = path,
                       .size = file.size,
                       .checksum = &file.sha256,
                       .source_checksum = file.source_sha256 ? &*file.source_sha256 : nullptr});
  });
  if (written) written = writer.finish();
  if (!written) return written.error();
  return kept->finish();
}

Result<KeptFile> keep_sums(const fs::path& directory, const BatchJournal& journal) {
  auto kept =
      Keeping::begin(directory / control_file_name(journal.info().id, ControlFormat::kSha256Sums));
  if (!kept) return kept.error();
  constexpr std::size_t kPieceBytes = 64 * 1024;
  std::string lines;
  auto written = visit_delivered(journal, [&](const BatchFile& file, std::string_view path) {
    lines += sum_line(file.sha256, path);
    if (lines.size() < kPieceBytes) return Result<void>();
    return kept->write(std::exchange(lines, {}));
  });
  if (written) written = kept->write(lines);
  if (!written) return written.error();
  return kept->finish();
}

Result<KeptFile> keep_signature(const KeptFile& list, const fs::path& key, const StopToken& stop) {
  const auto signature = sign(list.fd.get(), key, stop);
  if (!signature) return signature.error();
  fs::path path = list.path;
  auto kept = Keeping::begin(path += std::string(kSignatureSuffix));
  if (!kept) return kept.error();
  if (auto written = kept->write(*signature); !written) return written.error();
  return kept->finish();
}

bool is_kept_name(std::string_view name) {
  if (name.ends_with(kSignatureSuffix)) name.remove_suffix(kSignatureSuffix.size());
  return name.ends_with(kControlFileSuffix) || name.ends_with(kSumsSuffix);
}

}  // namespace

Result<KeptControlFile> keep_control_file(const fs::path& directory, const BatchJournal& journal,
                                          std::uint64_t count, std::uint64_t total_bytes,
                                          const fs::path& signing_key, const StopToken& stop) {
  auto list = keep_json(directory, journal, count, total_bytes);
  if (!list) return list.error();
  KeptControlFile kept;
  if (journal.info().control == ControlFormat::kNone) return kept;
  if (journal.info().control == ControlFormat::kSha256Sums) list = keep_sums(directory, journal);
  if (!list) return list.error();
  kept.list = std::move(*list);
  if (signing_key.empty()) return kept;
  auto signature = keep_signature(*kept.list, signing_key, stop);
  if (!signature) return signature.error();
  kept.signature = std::move(*signature);
  return kept;
}

void remove_unfinished_control_files(const fs::path& directory, std::string_view batch_id) {
  for (const ControlFormat format : {ControlFormat::kJson, ControlFormat::kSha256Sums}) {
    fs::path list = directory / control_file_name(batch_id, format);
    ::unlink(temporary_of(list).c_str());
    ::unlink(temporary_of(list += std::string(kSignatureSuffix)).c_str());
  }
}

Result<std::uint64_t> remove_old_control_files(const fs::path& directory, Timestamp time) {
  std::uint64_t removed = 0;
  boost::system::error_code code;
  fs::directory_iterator entries(directory, code);
  if (code == boost::system::errc::no_such_file_or_directory) return removed;
  for (; !code && entries != fs::directory_iterator(); entries.increment(code)) {
    const std::string name = entries->path().filename().string();
    // What an agent left that died as it began a batch goes, too.
    if (!is_kept_name(name) && !name.ends_with(".journal.new")) continue;
    const auto made = time_of_uuid(name.substr(0, name.find('.')));
    if (!made || *made >= time) continue;
    if (::unlink(entries->path().c_str()) == 0) ++removed;
  }
  if (code) return errno_error(code.value(), fmt::format("look into {}", directory.string()));
  return removed;
}

sftp::Task<Result<void>> upload_kept_file(Session& session, const KeptFile& file,
                                          const Target& target, const TransferOptions& options) {
  const Content content{.source = {.read = [&file](std::uint64_t offset,
                                                   std::span<std::byte> buffer) -> Result<void> {
                          const auto count = pread_full(file.fd.get(), buffer, offset, file.path);
                          if (!count) return count.error();
                          if (*count == buffer.size()) return {};
                          return make_error(ErrorKind::kCorrupt, "{}: the file was cut short",
                                            file.path.string());
                        }},
                        .on_acknowledged = [](std::uint64_t, std::size_t) {}};
  co_return co_await upload_part(session, target, content, options);
}

}  // namespace ferry::transfer
