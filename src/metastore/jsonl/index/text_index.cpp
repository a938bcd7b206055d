#include "metastore/jsonl/index/text_index.h"

#include <algorithm>

#include "ferry/base/text.h"
#include "metastore/jsonl/index/index_values.h"

namespace ferry::metastore {
namespace {

constexpr FileNumber kWorthWhile = 2'000;
constexpr FileNumber kStep = 25'000;
/// More would cost more than they leave out.
constexpr std::size_t kMostParts = 24;

/// Where the characters of TEXT begin, and its end; nothing if it is not UTF-8.
std::vector<std::size_t> characters(std::string_view text) {
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < text.size();) {
    begins.push_back(i);
    const std::size_t size = utf8_sequence(text.substr(i));
    if (size == 0 || text[i] == '\0') return {};
    i += size;
  }
  begins.push_back(text.size());
  return begins;
}

std::string quoted(std::string_view part) {
  std::string text = "\"";
  for (const char byte : part) text.append(byte == '"' ? 2 : 1, byte);
  return text + '"';
}

void append(std::vector<FileNumber>& found, std::vector<FileNumber> more) {
  found.insert(found.end(), more.begin(), more.end());
}

}  // namespace

std::string parts_query(std::string_view text) {
  const auto begins = characters(text);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i + 3 < begins.size() && parts.size() < kMostParts; ++i) {
    std::string part = quoted(text.substr(begins[i], begins[i + 3] - begins[i]));
    if (std::ranges::find(parts, part) == parts.end()) parts.push_back(std::move(part));
  }
  std::string query;
  for (const std::string& part : parts) query += (query.empty() ? "" : " AND ") + part;
  return query;
}

FileNumber TextIndex::last_indexed() {
  auto row = database_.query("SELECT last FROM path_parts_until");
  return row.next() ? row.integer(0) : 0;
}

FileNumber TextIndex::last_file() {
  auto row = database_.query("SELECT max(number) FROM file");
  return row.next() ? row.integer(0) : 0;
}

bool TextIndex::is_behind() {
  return last_file() - last_indexed() > kWorthWhile;
}

void TextIndex::extend() {
  extend_to(std::min(last_indexed() + kStep, last_file()));
}

void TextIndex::extend_to(FileNumber last) {
  database_.run(
      "INSERT INTO path_part(rowid, path) SELECT number, path FROM file WHERE number > ? AND "
      "number <= ? ORDER BY number",
      last_indexed(), last);
  database_.run("UPDATE path_parts_until SET last = ?", last);
}

void TextIndex::replace(FileNumber number, std::string_view previous, std::string_view path) {
  if (number > last_indexed()) return;
  database_.run("INSERT INTO path_part(path_part, rowid, path) VALUES('delete', ?, ?)", number,
                previous);
  database_.run("INSERT INTO path_part(rowid, path) VALUES(?, ?)", number, path);
}

std::vector<FileNumber> TextIndex::candidates(std::string_view text, FileNumber after,
                                              bool newest_first, std::size_t limit) {
  const std::string parts = parts_query(text);
  const FileNumber last = parts.empty() ? 0 : last_indexed();
  const auto most = [&](const std::vector<FileNumber>& found) {
    return static_cast<std::int64_t>(limit - found.size());
  };
  std::vector<FileNumber> found;
  if (newest_first) {
    found = numbers(
        database_.query("SELECT number FROM file WHERE number > ? AND number < ? AND instr(path, "
                        "?) > 0 ORDER BY number DESC LIMIT ?",
                        last, after, text, most(found)));
    if (found.size() == limit || parts.empty()) return found;
    append(found, numbers(database_.query(
                      "SELECT rowid FROM path_part WHERE path_part MATCH ? AND rowid < ? ORDER "
                      "BY rowid DESC LIMIT ?",
                      std::string_view(parts), after, most(found))));
    return found;
  }
  if (after < last) {
    found = numbers(
        database_.query("SELECT rowid FROM path_part WHERE path_part MATCH ? AND rowid > ? ORDER "
                        "BY rowid LIMIT ?",
                        std::string_view(parts), after, most(found)));
    if (found.size() == limit) return found;
  }
  append(found, numbers(database_.query(
                    "SELECT number FROM file WHERE number > ? AND instr(path, ?) > 0 ORDER BY "
                    "number LIMIT ?",
                    std::max(after, last), text, most(found))));
  return found;
}

}  // namespace ferry::metastore
