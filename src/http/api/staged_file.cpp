#include "http/api/staged_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "ferry/base/directory.h"
#include "ferry/base/json.h"
#include "ferry/base/uuid.h"

namespace ferry::http {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr mode_t kMode = 0600;
constexpr const char* kExtensions[] = {".json", ".data", ".offset", ".landed"};

std::string to_text(const UploadTerms& terms) {
  Json digests = Json::array();
  for (const Checksum& digest : terms.digests) digests.push_back(digest.to_string());
  return ferry::to_text({{"area", terms.area},
                         {"path", terms.path},
                         {"by", terms.by},
                         {"length", terms.length},
                         {"no_clobber", terms.no_clobber},
                         {"digests", std::move(digests)},
                         {"metadata", terms.metadata},
                         {"created", format_timestamp(terms.created)}}) +
         "\n";
}

std::optional<UploadTerms> parse_terms(const std::string& text) try {
  const Json json = Json::parse(text);
  UploadTerms terms{.area = json.at("area"),
                    .path = json.at("path"),
                    .by = json.value("by", ""),
                    .length = json.at("length"),
                    .no_clobber = json.at("no_clobber"),
                    .metadata = json.at("metadata")};
  for (const Json& digest : json.at("digests")) {
    const auto checksum = Checksum::parse(digest.get<std::string>());
    if (!checksum) return std::nullopt;
    terms.digests.push_back(*checksum);
  }
  const auto created = parse_timestamp(json.at("created").get<std::string>());
  if (!created) return std::nullopt;
  terms.created = *created;
  return terms;
} catch (const Json::exception&) {
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest == text.data()) return std::nullopt;
  return number;
}

Result<void> remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return errno_error(errno, path.string());
}

}  // namespace

Result<std::string> StagedUpload::create(const fs::path& directory, const UploadTerms& terms) {
  if (auto made = make_directories(directory); !made) return made.error();
  const std::string id = uuid_v7();
  // What has no terms is nothing: see remove_rest().
  const fs::path data = directory / (id + ".data");
  if (const auto fd = open_file(data, O_WRONLY | O_CREAT | O_EXCL, kMode); !fd) return fd.error();
  if (auto noted = replace_file(directory / (id + ".offset"), "0\n", kMode); !noted) {
    return noted.error();
  }
  if (auto noted = replace_file(directory / (id + ".json"), to_text(terms), kMode); !noted) {
    return noted.error();
  }
  return id;
}

Result<StagedUpload> StagedUpload::find(const fs::path& directory, const std::string& id) {
  StagedUpload upload;
  upload.directory_ = directory;
  upload.id_ = id;
  const auto text = is_uuid(id) ? read_file(upload.file(".json"))
                                : make_error(ErrorKind::kNotFound, "{}: not an upload", id);
  if (!text) return text.error();
  auto terms = parse_terms(*text);
  if (!terms) {
    return make_error(ErrorKind::kCorrupt, "{}: does not describe an upload",
                      upload.file(".json").string());
  }
  upload.terms_ = std::move(*terms);
  if (auto looked = upload.look(); !looked) return looked.error();
  return upload;
}

Result<std::vector<std::string>> StagedUpload::list(const fs::path& directory) {
  std::vector<std::string> ids;
  boost::system::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string id = it->path().stem().string();
    const bool is_ours =
        std::ranges::find(kExtensions, it->path().extension()) != std::end(kExtensions);
    if (is_ours && is_uuid(id)) ids.push_back(id);
  }
  if (error && error.value() != ENOENT) return errno_error(error.value(), directory.string());
  std::ranges::sort(ids);
  const auto repeated = std::ranges::unique(ids);
  ids.erase(repeated.begin(), repeated.end());
  return ids;
}

Result<bool> StagedUpload::remove_rest(const fs::path& directory, const std::string& id,
                                       Timestamp before) {
  StagedUpload rest;
  rest.directory_ = directory;
  rest.id_ = id;
  for (const char* extension : kExtensions) {
    struct stat status{};
    if (::lstat(rest.file(extension).c_str(), &status) != 0) continue;
    if (Timestamp(std::chrono::seconds(status.st_mtim.tv_sec)) >= before) return false;
  }
  if (auto removed = rest.remove(); !removed) return removed.error();
  return true;
}

Result<void> StagedUpload::look() {
  const auto landed = read_file(file(".landed"));
  if (!landed && landed.error().kind != ErrorKind::kNotFound) return landed.error();
  landed_ = landed ? landed->substr(0, landed->find('\n')) : "";
  const auto fd = open_file(file(".offset"), O_RDONLY);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), file(".offset"));
  if (!status) return status.error();
  touched_ =
      std::chrono::floor<Timestamp::duration>(std::chrono::sys_time<std::chrono::nanoseconds>(
          std::chrono::seconds(status->st_mtim.tv_sec) +
          std::chrono::nanoseconds(status->st_mtim.tv_nsec)));
  const auto text = read_file(file(".offset"));
  if (!text) return text.error();
  const auto offset = parse_number(*text);
  if (!offset || *offset > terms_.length) {
    return make_error(ErrorKind::kCorrupt, "{}: not the offset of an upload",
                      file(".offset").string());
  }
  offset_ = *offset;
  return {};
}

Result<void> StagedUpload::lock() {
  auto fd = open_file(file(".data"), O_RDWR);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) {
    if (auto looked = look(); !looked) return looked;
    return landed_.empty() ? Result<void>(fd.error()) : Result<void>();
  }
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), file(".data"));
  if (!lock) return lock.error();
  if (!*lock) return make_error(ErrorKind::kBusy, "another request writes this upload");
  lock_ = std::move(**lock);
  if (auto looked = look(); !looked) return looked;
  return landed_.empty() ? forget_written() : Result<void>();
}

Result<void> StagedUpload::write(std::span<const std::byte> data) {
  if (auto done = write_full(lock_->fd(), data, file(".data")); !done) return done;
  written_ += data.size();
  return {};
}

Result<void> StagedUpload::keep_written() {
  if (written_ == offset_) return {};
  if (auto synced = sync(lock_->fd(), file(".data")); !synced) return synced;
  if (auto noted = replace_file(file(".offset"), fmt::format("{}\n", written_), kMode); !noted) {
    return noted;
  }
  offset_ = written_;
  return {};
}

Result<void> StagedUpload::forget_written() {
  const fs::path data = file(".data");
  const auto size = static_cast<off_t>(offset_);
  if (::ftruncate(lock_->fd(), size) != 0 || ::lseek(lock_->fd(), size, SEEK_SET) != size) {
    return errno_error(errno, data.string());
  }
  written_ = offset_;
  return {};
}

Result<void> StagedUpload::read(
    const std::function<Result<void>(std::span<const std::byte>)>& reader) const {
  std::vector<std::byte> block(kBlockBytes);
  for (std::uint64_t at = 0; at < offset_;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), offset_ - at));
    const auto count = pread_full(lock_->fd(), std::span(block).first(wanted), at, file(".data"));
    if (!count) return count.error();
    if (*count != wanted) {
      return make_error(ErrorKind::kCorrupt, "{}: shorter than it was", file(".data").string());
    }
    if (auto taken = reader(std::span(block).first(wanted)); !taken) return taken;
    at += wanted;
  }
  return {};
}

Result<void> StagedUpload::note_landed(const std::string& file_id) {
  if (auto noted = replace_file(file(".landed"), file_id + "\n", kMode); !noted) return noted;
  landed_ = file_id;
  return remove_file(file(".data"));
}

Result<void> StagedUpload::remove() {
  for (const char* extension : kExtensions) {
    if (auto removed = remove_file(temporary_of(file(extension))); !removed) return removed;
    if (auto removed = remove_file(file(extension)); !removed) return removed;
  }
  is_removed_ = true;
  return {};
}

}  // namespace ferry::http
