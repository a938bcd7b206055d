// Part files that nobody will complete: their file was replaced or went missing before an agent,
// since dead or failed, had delivered it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "transfer/run_context.h"
#include "transfer/session.h"

namespace ferry::transfer {

/// Removes them at B and says so in transfer_logs, so that nobody looks for them again.
Result<void> remove_stale_parts(metastore::Metastore& metastore, const RunContext& context,
                                Session& session, std::string_view batch_id,
                                std::string_view agent);

/// Removes what earlier runs, since dead or failed, left of their control files at B: a new batch
/// has one of its own. BATCH_IDS come from the table: what is no batch's id is passed over.
Result<void> remove_stale_control_files(const RunContext& context, Session& session,
                                        const std::set<std::string, std::less<>>& batch_ids);

}  // namespace ferry::transfer
