// What the registry knows of files that are there. register_files decides; this spares work.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/metastore.h"

namespace ferry::landing {

/// That of RECORD, a latest version, unless it is missing: a file with this identity need not be
/// read.
inline std::optional<FileIdentity> registered_identity(
    const std::optional<metastore::FileRecord>& record) {
  if (!record || record->state == metastore::FileState::kMissing) return std::nullopt;
  return record->identity;
}

inline bool is_registered_as(const std::optional<metastore::FileRecord>& record,
                             const FileIdentity& identity) {
  return registered_identity(record) == identity;
}

/// True if the latest version of PATH is ready and has these bytes: whoever let them in, they need
/// not be judged again.
inline Result<bool> is_accepted(metastore::Metastore& metastore, std::string_view landing,
                                const std::string& path, const Checksum& checksum) {
  const auto latest = metastore.latest(landing, std::span(&path, 1));
  if (!latest) return latest.error();
  const auto& record = latest->front();
  return record && record->state == metastore::FileState::kReady && record->checksum == checksum;
}

}  // namespace ferry::landing
