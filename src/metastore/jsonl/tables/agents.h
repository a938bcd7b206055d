// Who is running: every agent holds a lock on a file of its own.
//
// Files in the folder come and go only under the metastore's lock, except that an agent removes its
// own while it still holds it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

std::string new_agent_name();

/// kBusy if the agent of this name runs.
Result<std::unique_ptr<AgentPresence>> make_presence(std::shared_ptr<const Directory> directory,
                                                     std::string name);

/// Removes what agents left behind that were killed.
void remove_dead_agents(const Directory& directory);

/// Which agents run; asks once for each and keeps the answer, so make one for each look.
class Liveness {
 public:
  explicit Liveness(const Directory& directory) : directory_(directory) {}
  bool is_alive(std::string_view agent);

 private:
  bool ask(const std::string& agent) const;

  const Directory& directory_;
  std::unordered_map<std::string, bool> answers_;
};

}  // namespace ferry::metastore
