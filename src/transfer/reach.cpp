#include "transfer/reach.h"

#include <set>

#include "ferry/base/log.h"

namespace ferry::transfer {
namespace {

Result<void> reach(const std::string& landing, const LandingRoots& roots, SourceOpener& sources) {
  if (const Error* absence = roots.absence(landing)) return *absence;
  const LandingRoot* root = roots.find(landing);
  if (root != nullptr && root->is_empty) {
    return make_error(
        ErrorKind::kNotFound,
        "landing area {} is empty, and files are registered there: is its file system "
        "mounted? If they were removed, 'ferry watch' notes that",
        landing);
  }
  return root != nullptr && root->is_remote() ? sources.reach(*root) : Result<void>();
}

void leave_out_unmounted(SelectedFiles& selected, const LandingRoots& roots) {
  std::set<std::string_view> unmounted;
  for (const metastore::FileRecord& file : selected.doubtful) {
    if (is_unmounted(*roots.find(file.landing), file)) unmounted.insert(file.id);
  }
  if (unmounted.empty()) return;
  log::warning("landing area left out",
               {{"files", unmounted.size()},
                {"reason", "they are not found, and were on a file system that is not there"}});
  std::erase_if(selected.files, [&](const auto& file) { return unmounted.contains(file.id); });
}

}  // namespace

Result<SelectedFiles> select_within_reach(metastore::Metastore& metastore,
                                          std::string_view destination,
                                          const TransferOptions& options, const LandingRoots& roots,
                                          SourceOpener& sources) {
  auto selected = select_ids(metastore, destination, options, roots);
  if (!selected) return selected;
  std::optional<Error> failure;
  for (const std::string& landing : selected->landings) {
    const auto reached = reach(landing, roots, sources);
    options.on_landing(landing, reached ? nullptr : &reached.error());
    if (reached) continue;
    failure = reached.error();
    std::erase_if(selected->files, [&](const auto& file) { return *file.landing == landing; });
  }
  leave_out_unmounted(*selected, roots);
  if (selected->files.empty() && failure) return *failure;
  return selected;
}

}  // namespace ferry::transfer
