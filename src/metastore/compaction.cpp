#include "metastore/compaction.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <map>
#include <set>

#include "ferry/base/uuid.h"
#include "metastore/jsonl_table.h"
#include "metastore/staged_files.h"

namespace ferry::metastore {
namespace {

using Key = SurveyedRow::Key;
using Row = SurveyedRow;
constexpr Key kNoKey = SurveyedRow::kNoKey;

std::uint32_t month_of(Timestamp time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  return static_cast<std::uint32_t>(static_cast<int>(day.year()) * 12) +
         static_cast<unsigned>(day.month()) - 1;
}

std::string month_name(std::uint32_t month) {
  return fmt::format("{:04}-{:02}", month / 12, month % 12 + 1);
}

/// A table's rows, sorted into those that stay and those that go.
class Sorted {
 public:
  Sorted(const std::vector<Row>& rows, const std::vector<bool>& is_settled);

  std::uint64_t rows() const { return rows_; }
  std::uint64_t bytes() const { return bytes_; }
  const std::vector<Row>& kept() const { return kept_; }
  const std::vector<Row>& moved() const { return moved_; }

 private:
  void add(const Row& row);
  void retire(const std::vector<bool>& is_settled);

  std::vector<std::uint32_t> slot_of_;  // by key: where in kept_
  std::vector<Row> kept_;               // in the order of the keys' first rows
  std::vector<Row> moved_;              // in the order of the file
  std::uint64_t rows_ = 0;
  std::uint64_t bytes_ = 0;
};

Sorted::Sorted(const std::vector<Row>& rows, const std::vector<bool>& is_settled)
    : slot_of_(is_settled.size(), kNoKey) {
  for (const Row& row : rows) add(row);
  retire(is_settled);
}

void Sorted::add(const Row& row) {
  ++rows_;
  bytes_ += row.size;
  if (row.key != kNoKey && slot_of_[row.key] != kNoKey) {
    moved_.push_back(std::exchange(kept_[slot_of_[row.key]], row));
    return;
  }
  if (row.key != kNoKey) slot_of_[row.key] = static_cast<std::uint32_t>(kept_.size());
  kept_.push_back(row);
}

void Sorted::retire(const std::vector<bool>& is_settled) {
  const auto is_over = [&](const Row& row) { return row.key != kNoKey && is_settled[row.key]; };
  std::ranges::copy_if(kept_, std::back_inserter(moved_), is_over);
  std::erase_if(kept_, is_over);
  std::ranges::sort(moved_, {}, &Row::offset);
}

/// Adds the whole rows of TABLE before the offset UNTIL that ROWS lacks. IDENTIFY sets key and
/// month of a row that can be read.
template <typename Record>
Result<void> survey_table(JsonlTable& table, std::uint64_t until, std::vector<Row>& rows,
                          Result<Record> (*parse)(std::string_view),
                          const std::function<void(const Record&, Row&)>& identify) {
  if (auto followed = table.follow(); !followed) return followed.error();
  return table.read_until(until, [&](std::string_view line, std::uint64_t) {
    Row row{.size = static_cast<std::uint32_t>(line.size() + 1)};
    row.offset = table.offset() - row.size;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
    if (const auto record = parse(line)) identify(*record, row);
    rows.push_back(row);
  });
}

/// Copies rows of a table into staged files.
class RowCopier {
 public:
  RowCopier(const Layout& layout, std::string_view table, StagedFiles& staged)
      : table_(table), path_(layout.table(table)), staged_(staged) {}

  Result<void> archive(const std::vector<Row>& rows);
  Result<void> replace(const Sorted& table);

 private:
  Result<std::string_view> line(const Row& row);
  Result<void> read_block(std::uint64_t offset, std::size_t at_least);

  std::string table_;
  fs::path path_;
  StagedFiles& staged_;
  UniqueFd fd_;
  std::string block_;
  std::uint64_t block_offset_ = 0;
};

Result<void> RowCopier::read_block(std::uint64_t offset, std::size_t at_least) {
  constexpr std::size_t kBlockBytes = 64 * 1024;  // a handful of rows that are wanted one by one
  if (!fd_) {
    auto fd = open_file(path_, O_RDONLY);
    if (!fd) return fd.error();
    fd_ = std::move(*fd);
  }
  block_.resize(std::max(kBlockBytes, at_least));
  const auto count =
      pread_full(fd_.get(), std::as_writable_bytes(std::span(block_)), offset, path_);
  if (!count) return count.error();
  block_.resize(*count);
  block_offset_ = offset;
  return {};
}

Result<std::string_view> RowCopier::line(const Row& row) {
  const auto is_in_block = [&] {
    return row.offset >= block_offset_ && row.offset + row.size <= block_offset_ + block_.size();
  };
  if (!is_in_block()) {
    if (auto read = read_block(row.offset, row.size); !read) return read.error();
  }
  if (is_in_block()) {
    const auto text = std::string_view(block_).substr(row.offset - block_offset_, row.size);
    if (text.ends_with('\n')) return text;
  }
  return make_error(ErrorKind::kBusy, "{} was changed by somebody who does not lock it",
                    path_.string());
}

Result<void> RowCopier::archive(const std::vector<Row>& rows) {
  std::map<std::uint32_t, StagedFile*> by_month;
  for (const Row& row : rows) {
    StagedFile*& file = by_month[row.month];
    if (file == nullptr) {
      auto added = staged_.add(
          fmt::format("{}/{}/{}.{}.jsonl", kArchive, month_name(row.month), table_, uuid_v7()));
      if (!added) return added.error();
      file = *added;
    }
    const auto text = line(row);
    if (!text) return text.error();
    if (auto copied = file->append(*text); !copied) return copied;
  }
  return {};
}

Result<void> RowCopier::replace(const Sorted& table) {
  if (table.rows() == 0) return {};  // there may be no such file
  auto file = staged_.add(path_.filename().string());
  if (!file) return file.error();
  for (const Row& row : table.kept()) {
    const auto text = line(row);
    if (!text) return text.error();
    if (auto copied = (*file)->append(*text); !copied) return copied;
  }
  return {};
}

Timestamp last_event(const View& view, View::Index index, const std::vector<Delivery>& deliveries) {
  Timestamp last = view.updated_date(index);
  for (const Delivery& delivery : deliveries) last = std::max(last, delivery.date);
  return last;
}

std::uint64_t bytes_of(const std::vector<Row>& rows) {
  std::uint64_t bytes = 0;
  for (const Row& row : rows) bytes += row.size;
  return bytes;
}

/// What compactions that a crash ended left behind.
void remove_temporary_files(const Layout& layout) {
  const auto remove_in = [](const fs::path& directory) {
    boost::system::error_code code;
    for (fs::directory_iterator entry(directory, code), end; !code && entry != end;
         entry.increment(code)) {
      const std::string name = entry->path().filename().string();
      if (name.starts_with('.') && name.ends_with(".tmp")) ::unlink(entry->path().c_str());
    }
  };
  remove_in(layout.directory);
  boost::system::error_code code;
  for (fs::directory_iterator month(layout.archive(), code), end; !code && month != end;
       month.increment(code)) {
    remove_in(month->path());
  }
}

/// What goes to the archive as a whole.
struct Settled {
  std::vector<bool> files;       // by View::Index
  std::vector<bool> deliveries;  // by View::DeliveryNumber
};

Settled find_settled(const View& view, Timestamp since) {
  Settled settled{.files = std::vector<bool>(view.size()),
                  .deliveries = std::vector<bool>(view.delivery_count())};
  std::vector<View::DeliveryNumber> numbers;
  for (View::Index index = 0; index < view.size(); ++index) {
    if (!is_settled(view, index, since)) continue;
    settled.files[index] = true;
    numbers.clear();
    view.copy_delivery_numbers(index, numbers);
    for (const auto number : numbers) settled.deliveries[number] = true;
  }
  return settled;
}

/// The archive first, then the registry, then the logs: whoever reads in
/// between finds logs without a file, never a file without its logs.
Result<void> replace_tables(const Layout& layout, const Sorted& files, const Sorted& transfers) {
  StagedFiles staged(layout.directory, layout.compaction_note());
  RowCopier file_copier(layout, kRegistryTable, staged);
  RowCopier transfer_copier(layout, kTransferTable, staged);
  if (auto moved = file_copier.archive(files.moved()); !moved) return moved;
  if (auto moved = transfer_copier.archive(transfers.moved()); !moved) return moved;
  if (auto kept = file_copier.replace(files); !kept) return kept;
  if (auto kept = transfer_copier.replace(transfers); !kept) return kept;
  return staged.commit();
}

}  // namespace

bool is_settled(const View& view, View::Index index, Timestamp since) {
  const FileState state = view.state(index);
  if (state == FileState::kQuarantined) return false;
  if (state == FileState::kReady && (view.is_latest(index) || view.is_undelivered(index))) {
    return false;
  }
  std::vector<Delivery> deliveries;
  view.copy_deliveries(index, deliveries);
  const bool is_over = std::ranges::all_of(deliveries, [](const Delivery& delivery) {
    return delivery.status == TransferStatus::kSuccessful ||
           (delivery.status == TransferStatus::kFailed && delivery.error_kind == kAbandoned);
  });
  return is_over && last_event(view, index, deliveries) < since;
}

Weight weigh(const View& view, Timestamp since) {
  Weight weight{.live = view.size() + view.delivery_count(), .settled = 0};
  std::vector<View::DeliveryNumber> deliveries;
  for (View::Index index = 0; index < view.size(); ++index) {
    if (!is_settled(view, index, since)) continue;
    deliveries.clear();
    view.copy_delivery_numbers(index, deliveries);
    weight.settled += 1 + deliveries.size();
  }
  weight.live -= weight.settled;
  return weight;
}

Survey::Survey(const Layout& layout)
    : registry_(std::string(kRegistryTable), layout.table(kRegistryTable), layout.damaged()),
      transfers_(std::string(kTransferTable), layout.table(kTransferTable), layout.damaged()) {}

Result<void> Survey::extend(const View& view, std::uint64_t registry_end,
                            std::uint64_t transfers_end) {
  auto read = survey_table<FileRecord>(registry_, registry_end, files_, parse_file_record,
                                       [&](const FileRecord& record, Row& row) {
                                         row.key = view.find(record.id).value_or(kNoKey);
                                         row.month = month_of(record.updated_date);
                                       });
  if (!read) return read;
  return survey_table<TransferRecord>(
      transfers_, transfers_end, deliveries_, parse_transfer_record,
      [&](const TransferRecord& record, Row& row) {
        row.key = view.delivery_number(record.id, record.destination).value_or(kNoKey);
        row.month = month_of(record.date);
      });
}

Result<Metastore::Compaction> compact_tables(const Layout& layout, const View& view,
                                             const Survey& survey, Timestamp since) {
  remove_temporary_files(layout);
  const Settled settled = find_settled(view, since);
  const Sorted files(survey.files(), settled.files);
  const Sorted transfers(survey.deliveries(), settled.deliveries);
  const Metastore::Compaction done{
      .rows_before = files.rows() + transfers.rows(),
      .rows_after = files.kept().size() + transfers.kept().size(),
      .bytes_before = files.bytes() + transfers.bytes(),
      .bytes_after = bytes_of(files.kept()) + bytes_of(transfers.kept())};
  if (done.rows_after == done.rows_before) return done;
  if (auto replaced = replace_tables(layout, files, transfers); !replaced) {
    return replaced.error();
  }
  return done;
}

Result<void> visit_archive(const Layout& layout, std::string_view table,
                           const std::function<void(std::string_view line)>& visitor) {
  std::set<fs::path> parts;  // sorted: by month, then by time
  boost::system::error_code code;
  for (fs::recursive_directory_iterator entry(layout.archive(), code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(fmt::format("{}.", table)) && name.ends_with(".jsonl")) {
      parts.insert(entry->path());
    }
  }
  for (const fs::path& path : parts) {
    JsonlTable part(std::string(table), path, layout.damaged());
    if (auto followed = part.follow(); !followed) return followed.error();
    auto read = part.read_new([&](std::string_view line, std::uint64_t) { visitor(line); });
    if (!read) return read;
  }
  return {};
}

}  // namespace ferry::metastore
