// Batches whose agent has died, against a real OpenSSH server and a real metastore.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/uuid.h"
#include "transfer/agent_fixture.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer::testing {

using Place = BatchJournal::Place;
using Paths = std::vector<std::string>;

/// An agent that delivers by hand, as far as the test wants it to, and dies.
struct DeadAgent : AgentFixture {
  std::string batch_id = uuid_v7();
  std::map<std::string, std::string> ids;  // by path
  std::unique_ptr<metastore::AgentPresence> agent = std::move(*store->join());
  std::unique_ptr<BatchJournal> journal;

  std::string register_file(const std::string& path, const std::string& content) {
    return ids[path] = land_and_register(path, content);
  }
  // Of the dead agent's batch.
  Sidecar sidecar = Sidecar::kNone;
  ControlFormat control = ControlFormat::kJson;
  std::string control_path() const { return remote(batch_id + ".control.json").string(); }

  void claim(const std::vector<std::string>& paths, bool all_or_nothing = false) {
    metastore::ClaimRequest request{
        .destination = destination.name, .batch_id = batch_id, .agent = agent->name()};
    for (const std::string& path : paths) request.ids.push_back(ids.at(path));
    REQUIRE(store->claim(request)->size() == paths.size());
    begin_journal(all_or_nothing);
  }
  void begin_journal(bool all_or_nothing) {
    auto begun = BatchJournal::begin(options.control_files, {.id = batch_id,
                                                             .agent = agent->name(),
                                                             .destination = destination.name,
                                                             .directory = destination.directory,
                                                             .control_path = control_path(),
                                                             .created = now(),
                                                             .all_or_nothing = all_or_nothing,
                                                             .control = control,
                                                             .sidecar = sidecar});
    REQUIRE(begun);
    journal = std::move(*begun);
  }
  std::string part_of(const std::string& path, unsigned n = 0) const {
    return part_path(remote(path).string(), part_token(batch_id, ids.at(path), n));
  }
  std::string aside_of(const std::string& path) const {
    return aside_path(remote(path).string(), part_token(batch_id, ids.at(path), 0));
  }
  Place begin(const std::string& path, const std::string& content) const {
    const auto place = journal->note_begun({.id = ids.at(path),
                                            .attempt = 1,
                                            .remote_path = remote(path).string(),
                                            .size = content.size(),
                                            .sha256 = sha256(content),
                                            .source_sha256 = {},
                                            .part_path = part_of(path)});
    REQUIRE(place);
    return *place;
  }
  void end(Place place, std::optional<BatchFailure> failure = {}) const {
    REQUIRE(journal->note_end(place, {.date = now(), .failure = std::move(failure)}));
  }
  /// All of a batch.
  void deliver_by_hand(const std::string& path, const std::string& content) {
    register_file(path, content);
    claim({path});
    end(begin(path, content));
    REQUIRE(replace_file(remote(path), content));
  }
  void die() {
    journal.reset();
    agent.reset();
  }
  fs::path journal_path() const { return options.control_files / (batch_id + ".journal"); }

  std::vector<metastore::TransferRecord> rows_of(const std::string& path) {
    return store->history(ids.at(path))->at(0).transfers;
  }
  std::string control_part() const {
    return part_path(control_path(), part_token(batch_id, batch_id, 0));
  }
  void check_no_part_is_left() const {
    for (const std::string& name : names_at_destination()) CHECK_FALSE(name.ends_with(".part"));
  }
  void empty_the_server() const {
    for (const auto& entry : fs::directory_iterator(server.root())) fs::remove_all(entry.path());
  }
};

}  // namespace ferry::transfer::testing
