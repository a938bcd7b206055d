#include "metastore/registration.h"

#include "ferry/base/uuid.h"

namespace ferry::metastore {
namespace {

using Outcome = Registration::Outcome;

Outcome outcome_against(const FileRecord& found, View::Index latest, const View& view) {
  const FileState state = view.state(latest);
  if (found.state == FileState::kQuarantined) {
    // These bytes were let in before: released, perhaps by another process just now.
    if (state == FileState::kReady && view.has_checksum(latest, found.checksum)) {
      return Outcome::kUpdated;
    }
    const bool held = state == FileState::kQuarantined && found.identity &&
                      view.has_identity(latest, *found.identity);
    return held ? Outcome::kDuplicate : Outcome::kInserted;
  }
  if (found.identity && view.has_identity(latest, *found.identity)) {
    if (state == FileState::kMissing) return Outcome::kUpdated;
    // A watcher saw it first; who brought it knows better what it is.
    const bool tells_more = found.source == FileSource::kUpload && state == FileState::kReady &&
                            view.record(latest).source == FileSource::kWatch;
    return tells_more ? Outcome::kUpdated : Outcome::kDuplicate;
  }
  // A file that is not ready has been taken away: the same bytes again are a new delivery.
  if (state == FileState::kReady && view.has_checksum(latest, found.checksum)) {
    return Outcome::kUpdated;
  }
  return Outcome::kInserted;
}

FileRecord as_updated(FileRecord known, FileRecord&& found, Timestamp now) {
  known.updated_date = now;
  known.landing = std::move(found.landing);
  known.identity = found.identity;
  if (known.state != FileState::kReady) known.reason.clear();
  if (found.source == FileSource::kUpload) known.source = found.source;
  known.state = FileState::kReady;
  return known;
}

}  // namespace

FileRecord as_superseded(FileRecord older, Timestamp now, std::string_view newer_id) {
  older.updated_date = now;
  older.state = FileState::kSuperseded;
  older.reason = fmt::format("replaced by version {}", newer_id);
  return older;
}

Registration decide_registration(FileRecord found, Timestamp now, const View& view,
                                 const IsClaimed& is_claimed, std::vector<FileRecord>& rows) {
  const auto latest = view.latest(found.landing, found.path);
  const Outcome outcome = latest ? outcome_against(found, *latest, view) : Outcome::kInserted;
  Registration registration{.outcome = outcome, .id = {}, .superseded_id = {}};
  if (outcome != Outcome::kInserted) {
    FileRecord known = view.record(*latest);
    registration.id = known.id;
    if (outcome == Outcome::kUpdated) {
      rows.push_back(as_updated(std::move(known), std::move(found), now));
    }
    return registration;
  }

  found.id = uuid_v7();
  found.updated_date = now;
  registration.id = found.id;
  const bool replaces_pending = latest && view.state(*latest) == FileState::kReady &&
                                view.is_undelivered(*latest) && !is_claimed(*latest);
  rows.push_back(std::move(found));
  if (replaces_pending) {
    rows.push_back(as_superseded(view.record(*latest), now, registration.id));
    registration.superseded_id = rows.back().id;
  }
  return registration;
}

}  // namespace ferry::metastore
