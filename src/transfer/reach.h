// Which selected files can be had now: those of landing areas that are there, and answer.
#pragma once

#include <string_view>

#include "transfer/select.h"
#include "transfer/source_opener.h"

namespace ferry::transfer {

/// Without the files that cannot be had, which are not claimed then: it costs them no attempt.
/// OPTIONS.on_landing is told of each area. An error if nothing is left for that reason.
Result<SelectedFiles> select_within_reach(metastore::Metastore& metastore,
                                          std::string_view destination,
                                          const TransferOptions& options, const LandingRoots& roots,
                                          SourceOpener& sources);

}  // namespace ferry::transfer
