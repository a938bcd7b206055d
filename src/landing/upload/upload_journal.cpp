#include "landing/upload/upload_journal.h"

#include <stdexcept>

#include "ferry/base/json.h"

namespace ferry::landing {
namespace {

Json to_json(const FileIdentity& identity) {
  return {{"device", identity.device},
          {"inode", identity.inode},
          {"size", identity.size},
          {"mtime_ns", identity.mtime_ns},
          {"ctime_ns", identity.ctime_ns}};
}

/// Throws if a member is missing or of another type.
FileIdentity identity_from(const Json& row) {
  return {.device = row.at("device"),
          .inode = row.at("inode"),
          .size = row.at("size"),
          .mtime_ns = row.at("mtime_ns"),
          .ctime_ns = row.at("ctime_ns")};
}

Json to_json(const StagedFile& file) {
  Json row = to_json(file.identity);
  row["path"] = file.path;
  row["temporary"] = file.temporary;
  row["checksum"] = file.sha256.to_string();
  if (file.replaces) row["replaces"] = to_json(*file.replaces);
  return row;
}

/// Throws if a member is missing or of another type.
StagedFile staged_from(const Json& row) {
  const auto checksum = Checksum::parse(row.at("checksum").get<std::string>());
  if (!checksum) throw std::invalid_argument(checksum.error().message);
  StagedFile file{.path = row.at("path"),
                  .temporary = row.at("temporary"),
                  .identity = identity_from(row),
                  .sha256 = *checksum};
  if (row.contains("replaces")) file.replaces = identity_from(row.at("replaces"));
  return file;
}

void read_line(std::string_view line, UploadPlan& plan) {
  const Json row = Json::parse(line);
  if (row.contains("landing")) {
    plan.landing = row.at("landing");
    plan.place = row.at("place");
    if (row.contains("root")) plan.root = row.at("root");
  } else if (row.contains("temporary")) {
    plan.temporaries.push_back(row.at("temporary"));
  } else {
    std::vector<StagedFile> files;
    for (const Json& file : row.at("commit")) files.push_back(staged_from(file));
    plan.no_clobber = row.at("no_clobber");
    plan.committed = std::move(files);
  }
}

}  // namespace

UploadPlan parse_upload_plan(std::string_view text) {
  UploadPlan plan;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    try {
      read_line(text.substr(0, end), plan);
    } catch (const std::exception&) {
      break;
    }
    text.remove_prefix(end + 1);
  }
  return plan;
}

Result<UploadJournal> UploadJournal::create(const fs::path& directory, const std::string& landing,
                                            const std::string& place,
                                            std::optional<std::uint64_t> root) {
  Json row{{"landing", landing}, {"place", place}};
  if (root) row["root"] = *root;
  auto log = IntentLog::create(directory, to_text(row));
  if (!log) return log.error();
  return UploadJournal(std::move(*log));
}

Result<void> UploadJournal::note_temporary(const std::string& temporary) {
  return log_.append(to_text(Json{{"temporary", temporary}}));
}

Result<void> UploadJournal::note_commit(std::span<const StagedFile> files, bool no_clobber) {
  Json rows = Json::array();
  for (const StagedFile& file : files) rows.push_back(to_json(file));
  return log_.append(to_text(Json{{"no_clobber", no_clobber}, {"commit", std::move(rows)}}));
}

}  // namespace ferry::landing
