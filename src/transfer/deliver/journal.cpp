#include "transfer/deliver/journal.h"

#include <fcntl.h>

#include <boost/filesystem/directory.hpp>
#include <cerrno>

#include "ferry/base/json.h"

namespace ferry::transfer {
namespace {

constexpr int kJournalVersion = 2;

/// Neither id nor destination is fit for a file name.
fs::path journal_path(const fs::path& directory, const std::string& id,
                      const std::string& destination) {
  constexpr std::size_t kDigits = 32;
  const Checksum checksum = sha256_of(id + '\0' + destination);
  return directory / (checksum.to_hex().substr(0, kDigits) + ".jsonl");
}

Json header_of(const JournalKey& key) {
  return Json{{"version", kJournalVersion},      {"id", key.id},
              {"destination", key.destination},  {"final", key.final_path},
              {"size", key.source.size},         {"mtime_ns", key.source.mtime_ns},
              {"ctime_ns", key.source.ctime_ns}, {"inode", key.source.inode},
              {"device", key.source.device},     {"checksum", key.checksum.to_string()}};
}

/// Applies one line to PAST; false if it says nothing that we know.
bool apply_line(std::string_view line, Journal::Past& past) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) return false;
  if (json.contains("rename_asked")) {
    past.rename_asked = true;
    return true;
  }
  if (json.contains("doubtful")) {
    past.is_doubtful = true;
    return true;
  }
  const auto begin = json.find("begin");
  const auto end = json.find("end");
  if (begin == json.end() || end == json.end() || !begin->is_number_unsigned() ||
      !end->is_number_unsigned()) {
    return false;
  }
  past.acknowledged.add({begin->get<std::uint64_t>(), end->get<std::uint64_t>()});
  past.is_doubtful = past.is_doubtful || json.contains("unsynced");
  const auto modified = json.find("modified");
  if (modified != json.end() && modified->is_number_unsigned()) {
    past.modified = std::max(past.modified.value_or(0), modified->get<std::uint32_t>());
  }
  return true;
}

/// Takes the first line out of TEXT, without its '\n'; nothing if there is no whole one.
std::optional<std::string_view> take_line(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

/// The header, and where the part file is, taken out of it.
std::optional<std::string> take_part(Json& header) {
  const auto part = header.find("part");
  if (part == header.end() || !part->is_string()) return std::nullopt;
  std::string path = part->get<std::string>();
  header.erase(part);
  return path;
}

Json parse_header(std::string_view& text) {
  const auto line = take_line(text);
  return line ? Json::parse(line->begin(), line->end(), nullptr, false) : Json();
}

std::optional<Journal::Past> parse(std::string_view text, const JournalKey& key) {
  Json header = parse_header(text);
  if (!header.is_object()) return std::nullopt;
  auto part = take_part(header);
  if (!part || header != header_of(key)) return std::nullopt;
  Journal::Past past{.part_path = std::move(*part)};
  while (const auto line = take_line(text)) {
    if (!apply_line(*line, past)) return std::nullopt;
  }
  if (past.acknowledged.end() > key.source.size) return std::nullopt;
  return past;
}

/// Empty: a journal says nothing.
std::string part_in(std::string_view journal) {
  Json header = parse_header(journal);
  if (!header.is_object()) return {};
  return take_part(header).value_or(std::string());
}

}  // namespace

std::optional<Journal::Past> Journal::load(const fs::path& directory, const JournalKey& key) {
  const auto text = read_file(journal_path(directory, key.id, key.destination));
  if (!text) return std::nullopt;
  return parse(*text, key);
}

std::string Journal::part_path_in(const fs::path& directory, const std::string& id,
                                  const std::string& destination) {
  const auto text = read_file(journal_path(directory, id, destination));
  return text ? part_in(*text) : std::string();
}

Result<std::set<std::string>> Journal::parts_in(const fs::path& directory) {
  std::set<std::string> parts;
  boost::system::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".jsonl") continue;
    const auto text = read_file(it->path());
    if (!text && text.error().kind == ErrorKind::kNotFound) continue;  // done meanwhile
    if (!text) return text.error();
    parts.insert(part_in(*text));
  }
  if (error && error.value() != ENOENT) return errno_error(error.value(), directory.string());
  return parts;
}

Result<Journal> Journal::begin(const fs::path& directory, const JournalKey& key,
                               const std::string& part_path) {
  if (auto made = make_directories(directory); !made) return made.error();
  const fs::path path = journal_path(directory, key.id, key.destination);
  auto fd = open_file(path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC);
  if (!fd) return fd.error();
  Json header = header_of(key);
  header["part"] = part_path;
  const std::string line = to_text(header) + '\n';
  if (auto written = write_full(fd->get(), as_bytes(line), path); !written) return written.error();
  return Journal(std::move(*fd), path);
}

Result<Journal> Journal::resume(const fs::path& directory, const JournalKey& key) {
  const fs::path path = journal_path(directory, key.id, key.destination);
  const auto text = read_file(path);
  if (!text) return text.error();
  auto fd = open_file(path, O_WRONLY | O_APPEND);
  if (!fd) return fd.error();
  // A line that was cut off would be glued to the next.
  const std::size_t whole = text->rfind('\n') + 1;
  if (whole < text->size() && ::ftruncate(fd->get(), static_cast<off_t>(whole)) != 0) {
    return errno_error(errno, "truncate " + path.string());
  }
  return Journal(std::move(*fd), path);
}

void Journal::remove(const fs::path& directory, const std::string& id,
                     const std::string& destination) {
  const fs::path path = journal_path(directory, id, destination);
  // Nobody would look at it again: an error of the moment is not to leave it there.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) ::unlink(path.c_str());
}

Result<void> Journal::add(Range acknowledged, bool is_synced,
                          std::optional<std::uint32_t> modified) {
  std::string line = fmt::format("{{\"begin\":{},\"end\":{}", acknowledged.begin, acknowledged.end);
  if (!is_synced) line += ",\"unsynced\":true";
  if (modified) line += fmt::format(",\"modified\":{}", *modified);
  line += "}\n";
  return write_full(fd_.get(), as_bytes(line), path_);
}

Result<void> Journal::add_doubt() {
  return write_full(fd_.get(), as_bytes("{\"doubtful\":true}\n"), path_);
}

Result<void> Journal::add_rename_asked() {
  return write_full(fd_.get(), as_bytes("{\"rename_asked\":true}\n"), path_);
}

}  // namespace ferry::transfer
