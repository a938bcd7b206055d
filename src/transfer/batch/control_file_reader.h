// Takes a control file from a JSON parser's events (nlohmann::json_sax).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include "ferry/base/json.h"

#include "ferry/base/result.h"
#include "ferry/transfer/control_file.h"

namespace ferry::transfer {

class ControlFileReader {
 public:
  /// What the events added up to, once the parser has ended; the first thing wrong with them.
  Result<ReceivedControlFile> finish();

  // The parser's events. False ends the parsing.
  bool null() { return refuse("null"); }
  bool boolean(bool) { return refuse("a boolean"); }
  bool number_integer(std::int64_t) { return refuse("a negative number"); }
  bool number_unsigned(std::uint64_t number);
  bool number_float(double, const std::string&) {
    return refuse("a number that is not whole, or too large");
  }
  bool binary(Json::binary_t&) { return refuse("binary"); }
  bool string(std::string& text);
  bool start_object(std::size_t);
  bool end_object();
  bool start_array(std::size_t);
  bool end_array();
  bool key(std::string& name);
  bool parse_error(std::size_t position, const std::string&, const Json::exception&);

 private:
  enum Member : std::uint8_t {
    kVersion,
    kBatchId,
    kCreated,
    kAgent,
    kDestination,
    kCount,
    kTotalBytes,
    kFiles,
    kId,
    kPath,
    kSize,
    kChecksum,
    kSourceChecksum,
    kUnknown
  };
  static constexpr std::array<std::string_view, kUnknown> kNames = {
      "version", "batch_id", "created", "agent", "destination", "count",          "total_bytes",
      "files",   "id",       "path",    "size",  "checksum",    "source_checksum"};
  enum class Place : std::uint8_t { kOutside, kHeader, kFiles, kEntry };

  template <typename... Args>
  bool fail(fmt::format_string<Args...> format, Args&&... args);
  bool refuse(std::string_view found);  // a value of a type that its member does not have
  bool open_unknown();
  bool is_skipping() const { return skipped_depth_ > 0; }
  bool require(Member first, Member last, unsigned optional);
  bool set_path(std::string_view text);
  bool set_checksum(std::string_view text, Checksum& checksum);
  bool check_version();
  bool check_paths();
  bool check_totals();

  Place place_ = Place::kOutside;
  unsigned skipped_depth_ = 0;  // inside the value of an unknown member
  Member member_ = kUnknown;
  unsigned seen_ = 0;  // bits by Member, of the entry and of the header around it
  bool is_complete_ = false;
  std::uint64_t version_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t total_bytes_ = 0;
  ListedFile file_;
  ReceivedControlFile control_;
  std::optional<Error> error_;
};

}  // namespace ferry::transfer
