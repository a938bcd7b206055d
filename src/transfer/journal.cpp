#include "transfer/journal.h"

#include <fcntl.h>

#include <optional>
#include "ferry/base/json.h"

namespace ferry::transfer {
namespace {

constexpr int kJournalVersion = 1;

fs::path journal_path(const fs::path& directory, const std::string& id,
                      const std::string& destination) {
  Hasher hasher(HashAlgorithm::kMd5);  // for a short name, not for secrecy
  hasher.update(as_bytes(destination));
  const std::string digest = hasher.finish().to_string().substr(4, 12);
  return directory / fmt::format("{}@{}.jsonl", id, digest);
}

std::string header_line(const JournalKey& key) {
  return to_text(Json{{"version", kJournalVersion},
                      {"id", key.id},
                      {"destination", key.destination},
                      {"part", key.part_path},
                      {"size", key.source.size},
                      {"mtime_ns", key.source.mtime_ns},
                      {"ctime_ns", key.source.ctime_ns},
                      {"inode", key.source.inode},
                      {"device", key.source.device},
                      {"checksum", key.checksum.to_string()}});
}

/// Applies one line to PAST; false where it says nothing that we know.
bool apply_line(std::string_view line, Journal::Past& past) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return false;
  if (json.contains("publishing")) {
    past.publishing = true;
    return true;
  }
  const auto begin = json.find("begin");
  const auto end = json.find("end");
  if (begin == json.end() || end == json.end() || !begin->is_number_unsigned() ||
      !end->is_number_unsigned()) {
    return false;
  }
  past.acknowledged.add({begin->get<std::uint64_t>(), end->get<std::uint64_t>()});
  return true;
}

/// The past that TEXT tells, where it is whole and KEY's.
std::optional<Journal::Past> parse(std::string_view text, const JournalKey& key) {
  const std::string header = header_line(key) + '\n';
  if (!text.starts_with(header)) return std::nullopt;
  text.remove_prefix(header.size());
  Journal::Past past;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    if (!apply_line(text.substr(0, end), past)) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  if (!text.empty()) return std::nullopt;  // a torn line: later ones would be glued to it
  if (past.acknowledged.end() > key.source.size) return std::nullopt;
  return past;
}

}  // namespace

Journal::Past Journal::load(const fs::path& directory, const JournalKey& key) {
  const auto text = read_file(journal_path(directory, key.id, key.destination));
  if (!text) return {};
  return parse(*text, key).value_or(Past{});
}

Result<Journal> Journal::open(const fs::path& directory, const JournalKey& key) {
  const fs::path path = journal_path(directory, key.id, key.destination);
  const auto text = read_file(path);
  const bool goes_on = text && parse(*text, key);
  const int flags = O_WRONLY | O_CREAT | O_APPEND | (goes_on ? 0 : O_TRUNC);
  auto fd = open_file(path, flags);
  if (!fd) return fd.error();
  Journal journal(std::move(*fd), path);
  if (!goes_on) {
    const std::string header = header_line(key) + '\n';
    if (auto written = write_full(journal.fd_.get(), as_bytes(header), path); !written) {
      return written.error();
    }
  }
  return journal;
}

bool Journal::exists(const fs::path& directory, const std::string& id,
                     const std::string& destination) {
  return ::access(journal_path(directory, id, destination).c_str(), F_OK) == 0;
}

void Journal::remove(const fs::path& directory, const std::string& id,
                     const std::string& destination) {
  ::unlink(journal_path(directory, id, destination).c_str());
}

Result<void> Journal::add(Range acknowledged) {
  const std::string line =
      fmt::format("{{\"begin\":{},\"end\":{}}}\n", acknowledged.begin, acknowledged.end);
  return write_full(fd_.get(), as_bytes(line), path_);
}

Result<void> Journal::add_publishing() {
  return write_full(fd_.get(), as_bytes("{\"publishing\":true}\n"), path_);
}

}  // namespace ferry::transfer
