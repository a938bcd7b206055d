// Who is running: every agent holds an advisory lock in a session of its own.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "ferry/metastore/metastore.h"
#include "metastore/postgres/connection.h"
#include "metastore/postgres/database.h"

namespace ferry::metastore::postgres {

Result<std::unique_ptr<AgentPresence>> make_presence(Database& database);
/// In place of one that has ended. kBusy if its session has not.
Result<std::unique_ptr<AgentPresence>> make_presence_of(Database& database,
                                                        const std::string& name);

/// Forgets agents that have ended, and notes since when the others are missed that have no session.
Result<void> tidy_agents(Database& database);

/// Which agents run, as of one look.
class Liveness {
 public:
  static Result<Liveness> look(Connection& connection);

  bool is_alive(std::string_view agent) const { return living_.contains(agent); }
  std::vector<std::string> names() const { return {living_.begin(), living_.end()}; }
  /// tidy_agents has something to note.
  bool is_untidy() const { return is_untidy_; }

 private:
  std::set<std::string, std::less<>> living_;
  bool is_untidy_ = false;
};

}  // namespace ferry::metastore::postgres
