// Compares two indexes in every field.
#pragma once

#include <string>
#include <vector>

#include "metastore/jsonl/index/index.h"

namespace ferry::metastore {

/// What ONE and OTHER differ in, in words, up to a few; with FINGERPRINT also where files stand as
/// that perspective sees it. Both are in a transaction. The numbers that they give may differ.
std::vector<std::string> compare_indexes(Index& one, Index& other, const std::string& fingerprint);

}  // namespace ferry::metastore
