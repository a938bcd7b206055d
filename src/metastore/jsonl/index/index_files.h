// index.sqlite: opening it, building it anew, and one of our own if it cannot be used.
//
// Built under another name and put in its place under the metastore's lock, it is whole or not
// there. Whoever has it open goes on with the previous one, and looks at the name before each use.
#pragma once

#include <optional>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "metastore/jsonl/index/indexed_tables.h"
#include "metastore/jsonl/index/snapshot.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

/// The shared index, with the tables.
struct SharedIndex {
  IndexedTables tables;
  std::uint64_t device = 0;  // of the file
  std::uint64_t inode = 0;
};

/// kNotFound: there is none. kCorrupt: it is damaged, of another version, or no index at all.
/// kDenied: it may not be used in this way.
Result<SharedIndex> open_shared_index(const Directory& directory, Database::Access access);
/// Whether the name still stands for that file.
bool is_in_place(const Directory& directory, const SharedIndex& shared);

/// One that nobody else sees and that goes with the object: a copy of the shared one, if it
/// MAY_COPY that and can be read, else built from the tables.
Result<IndexedTables> make_private_index(const Directory& directory, bool may_copy,
                                         const IndexedTables::Progress& progress);

/// One that is built from the tables as far as SHARED has them, and in which VIEWPOINT has judged
/// all.
Result<IndexedTables> rebuild_privately(const Directory& directory, IndexedTables& shared,
                                        const Viewpoint& viewpoint,
                                        const IndexedTables::Progress& progress);

/// Builds one from tables under a name that it returns. Needs no lock. With VIEWPOINT, that has
/// judged all.
Result<std::string> build_index(const Directory& directory, const TableFiles& files,
                                const IndexedTables::Progress& progress,
                                const Viewpoint* viewpoint = nullptr);
/// Gives it its name. Under the lock.
Result<void> install_index(const Directory& directory, const std::string& built);
/// Removes it.
void discard_index(const Directory& directory, const std::string& built);

}  // namespace ferry::metastore
