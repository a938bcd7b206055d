#include "metastore/jsonl/index/index_files.h"

#include <fcntl.h>
#include <unistd.h>

#include "ferry/base/lock.h"
#include "ferry/base/uuid.h"
#include "metastore/jsonl/tables/layout.h"
#include "metastore/jsonl/tables/staged_files.h"

namespace ferry::metastore {
namespace {

constexpr std::string_view kBuiltPrefix = ".index.";
constexpr std::string_view kBuiltSuffix = ".tmp";

/// What is wrong with DATABASE's content, if anything is; else where its file is.
Result<void> check(Index& index) {
  index.begin_reading();
  const bool is_ours = index.is_ours();
  index.database().end_reading();
  if (const auto& failure = index.database().failure()) return *failure;
  if (is_ours) return {};
  return make_error(ErrorKind::kCorrupt, "it is of another version, or no index at all");
}

/// What processes left that died while they built one.
void remove_dead_indexes(const Directory& directory) {
  const auto names = directory.list("");
  if (!names) return;
  for (const std::string& name : *names) {
    if (name.starts_with(kBuiltPrefix)) remove_if_dead(directory, name);
  }
}

/// Folds the tables into an empty index.
Result<void> fill(IndexedTables& tables, const IndexedTables::Progress& progress) {
  Index& index = tables.index();
  index.create();
  index.begin_writing();
  const auto fit = tables.compare();
  if (!fit) return fit.error();
  const auto folded = tables.fold(progress);
  if (!folded) return folded.error();
  if (!*folded) return make_error(ErrorKind::kBusy, "the tables were replaced meanwhile");
  index.flush();
  index.create_lookups();
  return index.commit();
}

Result<void> judge_all(Index& index, const Viewpoint& viewpoint) {
  index.begin_writing();
  Perspective(index, viewpoint).bring_up_to_date();
  return index.commit();
}

/// A compaction may replace the tables once, but not each time.
template <typename Attempt>
auto until_tables_stay(Attempt attempt) {
  auto outcome = attempt();
  for (int left = 3; !outcome && outcome.error().kind == ErrorKind::kBusy && left > 0; --left) {
    outcome = attempt();
  }
  return outcome;
}

Result<void> build_in(const Directory& directory, const std::string& name, const TableFiles& files,
                      const IndexedTables::Progress& progress, const Viewpoint* viewpoint) {
  auto made = directory.open_file(name, O_RDWR | O_CREAT | O_EXCL);
  if (!made) return made.error();
  {
    // Shows that it is not left over.
    const auto lock = FileLock::acquire(std::move(*made), directory.shown(name), {});
    if (!lock) return lock.error();
    auto database = Database::open(directory.fd(), name, Database::Access::kBuild);
    if (!database) return database.error();
    IndexedTables tables(directory, Index(std::move(*database)), files);
    if (auto filled = fill(tables, progress); !filled) return filled;
    if (viewpoint != nullptr) {
      if (auto judged = judge_all(tables.index(), *viewpoint); !judged) return judged;
    }
  }
  {
    auto database = Database::open(directory.fd(), name, Database::Access::kWrite);
    if (!database) return database.error();
    database->execute("PRAGMA journal_mode=WAL");
    if (database->failure()) return *database->failure();
  }
  const auto file = directory.open_file(name, O_RDWR);
  if (!file) return file.error();
  if (::fsync(file->get()) != 0) return errno_error(errno, "fsync " + directory.shown(name));
  return {};
}

}  // namespace

Result<SharedIndex> open_shared_index(const Directory& directory, Database::Access access) {
  const auto before = directory.look(kIndexFile);
  if (!before) return before.error();
  if (!*before) return make_error(ErrorKind::kNotFound, "there is none");
  if (!S_ISREG((*before)->st_mode)) {
    return make_error(ErrorKind::kCorrupt, "it is not a regular file");
  }
  auto database = Database::open(directory.fd(), kIndexFile, access);
  if (!database) return database.error();
  SharedIndex shared{.tables = IndexedTables(directory, Index(std::move(*database))),
                     .device = (*before)->st_dev,
                     .inode = (*before)->st_ino};
  if (auto checked = check(shared.tables.index()); !checked) return checked.error();
  // Its -wal file is found by name, and may be that of a successor.
  if (!is_in_place(directory, shared)) {
    return make_error(ErrorKind::kBusy, "it was replaced meanwhile");
  }
  return shared;
}

bool is_in_place(const Directory& directory, const SharedIndex& shared) {
  const auto there = directory.look(kIndexFile);
  return there && *there && (*there)->st_dev == shared.device && (*there)->st_ino == shared.inode;
}

namespace {

Result<IndexedTables> copy_of_shared(const Directory& directory) {
  auto shared = open_shared_index(directory, Database::Access::kRead);
  if (!shared) return shared.error();
  auto own = Database::temporary_on_disk();
  if (!own) return own.error();
  own->copy_from(shared->tables.index().database());
  if (own->failure()) return *own->failure();
  if (!is_in_place(directory, *shared)) {
    return make_error(ErrorKind::kBusy, "it was replaced meanwhile");
  }
  return IndexedTables(directory, Index(std::move(*own)));
}

Result<IndexedTables> fill_in(const Directory& directory, Result<Database> (*make)(),
                              const IndexedTables::Progress& progress) {
  auto own = make();
  if (!own) return own.error();
  IndexedTables tables(directory, Index(std::move(*own)));
  if (auto filled = fill(tables, progress); !filled) return filled.error();
  return tables;
}

}  // namespace

Result<IndexedTables> make_private_index(const Directory& directory, bool may_copy,
                                         const IndexedTables::Progress& progress) {
  if (may_copy) {
    if (auto copied = copy_of_shared(directory)) return copied;
  }
  const auto fill_with = [&](Result<Database> (*make)()) {
    return until_tables_stay([&] { return fill_in(directory, make, progress); });
  };
  auto on_disk = fill_with(&Database::temporary_on_disk);
  if (on_disk) return on_disk;
  // There is no place for temporary files, or it is full.
  return fill_with(&Database::in_memory);
}

Result<IndexedTables> rebuild_privately(const Directory& directory, IndexedTables& shared,
                                        const Viewpoint& viewpoint,
                                        const IndexedTables::Progress& progress) {
  auto own = Database::temporary_on_disk();
  if (!own) return own.error();
  IndexedTables tables(directory, Index(std::move(*own)));
  tables.stop_at(shared.registry_position().offset, shared.transfers_position().offset);
  if (auto filled = fill(tables, progress); !filled) return filled.error();
  if (auto judged = judge_all(tables.index(), viewpoint); !judged) return judged.error();
  return tables;
}

Result<std::string> build_index(const Directory& directory, const TableFiles& files,
                                const IndexedTables::Progress& progress,
                                const Viewpoint* viewpoint) {
  return until_tables_stay([&]() -> Result<std::string> {
    std::string name = fmt::format("{}{}{}", kBuiltPrefix, uuid_v7(), kBuiltSuffix);
    auto built = build_in(directory, name, files, progress, viewpoint);
    if (built) return name;
    discard_index(directory, name);
    return built.error();
  });
}

Result<void> install_index(const Directory& directory, const std::string& built) {
  for (const char* suffix : {"-wal", "-shm"}) {
    [[maybe_unused]] const auto own = directory.remove(built + suffix);
    if (auto removed = directory.remove(kIndexFile + std::string(suffix)); !removed) {
      return removed.error();
    }
  }
  const auto renamed = directory.rename(built, kIndexFile);
  if (!renamed) return renamed.error();
  if (!*renamed) return make_error(ErrorKind::kBusy, "another index was put in its place");
  remove_dead_indexes(directory);
  return {};
}

void discard_index(const Directory& directory, const std::string& built) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    [[maybe_unused]] const auto removed = directory.remove(built + suffix);
  }
}

}  // namespace ferry::metastore
