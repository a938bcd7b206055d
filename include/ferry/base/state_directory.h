// Where a host keeps what is its own while it works for a metastore: what agents and uploads note
// before they act, copies, and files that are being made. One beside the tables of a metastore in a
// directory, and a directory of its own on each host that works for one in a database.
#pragma once

#include <string_view>
#include <utility>

#include "ferry/base/file.h"

namespace ferry {

class StateDirectory {
 public:
  explicit StateDirectory(fs::path path) : path_(std::move(path)) {}

  const fs::path& path() const { return path_; }

  // None of them need be there: whoever writes into one makes it.

  /// How far the agents are that run.
  fs::path agents() const { return path_ / kAgents; }
  /// Each batch's control file as it was pushed, and what its agent notes of it as it happens.
  fs::path batches() const { return path_ / kBatches; }
  /// Which chunks of large files destinations have acknowledged.
  fs::path journals() const { return path_ / kJournals; }
  /// What has been told to whom.
  fs::path notified() const { return path_ / kNotified; }
  /// Destinations that cannot be reached.
  fs::path outages() const { return path_ / kOutages; }
  /// What destinations' servers can do, as trials showed.
  fs::path servers() const { return path_ / kServers; }
  /// What has come of uploads that may be interrupted.
  fs::path resumable() const { return path_ / kResumable; }
  /// Transformed files, unless the configuration has another place for them.
  fs::path spool() const { return path_ / kSpool; }
  /// Delivered files that are being archived or deleted.
  fs::path taking() const { return path_ / kTaking; }
  /// Who may ask the service for what: a file.
  fs::path tokens() const { return path_ / kTokens; }
  /// Of delivered files that could not be archived or deleted: a file.
  fs::path untaken() const { return path_ / kUntaken; }
  /// What uploads have begun.
  fs::path uploads() const { return path_ / kUploads; }
  // Beside it: uploads.lock, the names that uploads are giving.

  /// True if NAME is one of these.
  static constexpr bool has(std::string_view name) {
    for (const char* ours :
         {kAgents, kBatches, kJournals, kNotified, kOutages, kResumable, kServers, kSpool, kTaking,
          kTokens, kUntaken, kUploads, "uploads.lock"}) {
      if (name == ours) return true;
    }
    return false;
  }

 private:
  static constexpr const char* kAgents = "agents";
  static constexpr const char* kBatches = "batches";
  static constexpr const char* kJournals = "journals";
  static constexpr const char* kNotified = "notified";
  static constexpr const char* kOutages = "outages";
  static constexpr const char* kResumable = "resumable";
  static constexpr const char* kServers = "servers";
  static constexpr const char* kSpool = "spool";
  static constexpr const char* kTaking = "taking";
  static constexpr const char* kTokens = "tokens.jsonl";
  static constexpr const char* kUntaken = "untaken.json";
  static constexpr const char* kUploads = "uploads";

  fs::path path_;
};

}  // namespace ferry
