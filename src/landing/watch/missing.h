// Finds registered files that are not there any more, or still there although they should not.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "landing/watch/pulse.h"
#include "landing/watch/root.h"

namespace ferry::landing {

/// The paths below DIRECTORIES whose latest version is ready and whose file is gone. Nothing if
/// the root itself is not there. A file that was registered on another file system than the one
/// that is there now counts as present: that file system is probably just not mounted.
Result<std::vector<std::string>> find_missing(metastore::Metastore& metastore,
                                              std::string_view landing, const Root& root,
                                              std::vector<std::string> directories, Pulse& pulse);

/// Files that the registry has as quarantined and that are in their old place.
Result<std::vector<metastore::FileRecord>> find_unmoved(metastore::Metastore& metastore,
                                                        std::string_view landing, const Root& root,
                                                        Pulse& pulse);

}  // namespace ferry::landing
