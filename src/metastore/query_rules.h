// What a question asks, and what is entered for an answer: said once, for all stores. Pure.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/subtrees.h"
#include "ferry/metastore/metastore.h"
#include "ferry/metastore/rules.h"

namespace ferry::metastore {

template <typename T>
bool has(const std::vector<T>& values, const T& value) {
  return std::ranges::find(values, value) != values.end();
}

template <typename T>
bool is_empty_or_has(const std::vector<T>& values, const T& value) {
  return values.empty() || has(values, value);
}

/// As far as FILE's own row tells: its deliveries and the other versions of its path count apart.
/// BELOW: the query's, made once for many files.
bool fits(const FileQuery& query, const Subtrees& below, const FileRecord& file);
bool depends_on_deliveries(const FileQuery& query);
/// Whether FILE stands as asked with one of those that want it.
bool stands_as_asked(const FileQuery& query, const FileRecord& file,
                     std::span<const Delivery> deliveries, const Demand& demand);

/// Of what REQUEST may claim.
FileQuery deliverable(const ClaimRequest& request);
TransferRecord in_progress_row(const ClaimRequest& request, const Claim& claim, Timestamp now);

/// As if what stands like this at DESTINATION (empty: at any) had never been tried.
std::vector<TransferRecord> released_rows(const FileRecord& file,
                                          std::span<const Delivery> deliveries,
                                          std::string_view destination, Standing standing,
                                          Timestamp now);

/// kInvalid for rows that no store takes.
Result<void> check_registered(const FileRecord& file);
Result<void> check_imported(const FileRecord& file);

}  // namespace ferry::metastore
