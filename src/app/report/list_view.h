// How `ferry list` shows rows: which columns, in which order. Pure but for the look at the
// terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/commands/command.h"
#include "app/report/standings.h"
#include "ferry/base/time.h"

namespace ferry::app {

/// What is shown of a row, taken out of it: rows live only as long as the visit.
struct ListedFile {
  std::string id, path, landing, destination, checksum, reason;
  metastore::Standing standing = metastore::Standing::kPending;
  bool given_up = false;
  std::optional<std::uint64_t> size;
  std::int64_t attempt = 0;
  Timestamp date;        // of the standing
  Timestamp registered;  // of this version
};
ListedFile listed(const StandingRow& row);

class ListView {
 public:
  /// By --columns, else what tells rows apart: landing areas and destinations only if there are
  /// SEVERAL of them. kInvalid for a column that nobody knows.
  static Result<ListView> make(const Arguments& arguments, bool several_landings,
                               bool several_destinations);

  std::string line(const ListedFile& file, Timestamp now) const;

 private:
  std::vector<std::string> columns_;
  bool has_colours_ = false;
};

std::span<const std::string_view> list_columns();
std::span<const std::string_view> sort_keys();

/// By --sort KEY; stable, so that those that are equal stay in the order of registration.
void sort_files(std::vector<ListedFile>& files, std::string_view key);

/// Standard output is a terminal, and nobody minds colours (NO_COLOR, TERM=dumb).
bool may_use_colours();

}  // namespace ferry::app
