// What a file that is there says about what was listed. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ferry/transfer/verify.h"

namespace ferry::transfer {

Finding finding(const ListedFile& file, Verdict verdict, std::string message);

/// Nothing if the size is right.
std::optional<Finding> judge_size(const ListedFile& file, std::uint64_t size);
std::optional<Finding> judge_content(const ListedFile& file, const Checksum& found);

/// What was found about each listed file, in their order; null if it is right.
using FindingsByFile = std::vector<std::unique_ptr<Finding>>;
Verification collect(FindingsByFile& found, std::uint64_t bytes);

}  // namespace ferry::transfer
