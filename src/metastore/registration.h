// Decides what a file that was found means for the registry. Pure.
#pragma once

#include <functional>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "metastore/view.h"

namespace ferry::metastore {

/// Whether a running agent holds the file.
using IsClaimed = std::function<bool(View::Index)>;

/// Appends to ROWS what has to be entered, in order.
Registration decide_registration(FileRecord found, Timestamp now, const View& view,
                                 const IsClaimed& is_claimed, std::vector<FileRecord>& rows);

FileRecord as_superseded(FileRecord older, Timestamp now, std::string_view newer_id);

}  // namespace ferry::metastore
