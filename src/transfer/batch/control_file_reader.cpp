#include "transfer/batch/control_file_reader.h"

#include <algorithm>
#include <istream>
#include <unordered_set>

#include "ferry/base/path.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kLongestPath = 4096;  // PATH_MAX

constexpr unsigned bit(unsigned member) {
  return 1U << member;
}

}  // namespace

template <typename... Args>
bool ControlFileReader::fail(fmt::format_string<Args...> format, Args&&... args) {
  Error error = make_error(ErrorKind::kInvalid, format, std::forward<Args>(args)...);
  if (place_ == Place::kEntry) {
    error = error.with_context(fmt::format("file {}", control_.files.size() + 1));
  }
  error_ = std::move(error);
  return false;
}

bool ControlFileReader::refuse(std::string_view found) {
  if (is_skipping()) return true;
  if (place_ == Place::kOutside)
    return fail("it is not a control file: it does not begin with a JSON object");
  if (place_ == Place::kFiles) return fail("'files' has {} where objects are due", found);
  if (member_ == kUnknown) return true;
  return fail("'{}' is {}", kNames[member_], found);
}

bool ControlFileReader::number_unsigned(std::uint64_t number) {
  if (is_skipping()) return true;
  if (place_ == Place::kHeader || place_ == Place::kEntry) {
    switch (member_) {
      case kVersion:
        version_ = number;
        return check_version();
      case kCount:
        count_ = number;
        return true;
      case kTotalBytes:
        total_bytes_ = number;
        return true;
      case kSize:
        file_.size = number;
        return true;
      default:
        break;
    }
  }
  return refuse("a number");
}

bool ControlFileReader::string(std::string& text) {
  if (is_skipping()) return true;
  if (place_ != Place::kHeader && place_ != Place::kEntry) return refuse("a string");
  switch (member_) {
    case kBatchId:
      control_.batch_id.swap(text);
      return true;
    case kAgent:
      control_.agent.swap(text);
      return true;
    case kDestination:
      control_.destination.swap(text);
      return true;
    case kCreated: {
      const auto time = parse_timestamp(text);
      if (!time) return fail("'created': {}", time.error().message);
      control_.created = *time;
      return true;
    }
    case kId:
      file_.id.swap(text);
      return true;
    case kPath:
      return set_path(text);
    case kChecksum:
      return set_checksum(text, file_.checksum);
    case kSourceChecksum: {
      Checksum unused;
      return set_checksum(text, unused);
    }
    default:
      return refuse("a string");
  }
}

/// Keeps the path's parts that mean something, so that equal paths are equal strings.
bool ControlFileReader::set_path(std::string_view text) {
  if (text.empty()) return fail("its path is empty");
  if (text.size() > kLongestPath) return fail("its path has {} bytes", text.size());
  if (text.find('\0') != text.npos) return fail("its path has a NUL character");
  if (text.front() == '/') return fail("its path '{}' is not relative", text);
  file_.path.clear();
  for (Components names(text); const auto name = names.next();) {
    if (*name == "..") return fail("its path '{}' leads out of the directory", text);
    if (name->empty() || *name == ".") continue;
    if (!file_.path.empty()) file_.path += '/';
    file_.path += *name;
  }
  return !file_.path.empty() || fail("its path '{}' names no file", text);
}

bool ControlFileReader::set_checksum(std::string_view text, Checksum& checksum) {
  const auto parsed = Checksum::parse(text);
  if (!parsed) return fail("'{}': {}", kNames[member_], parsed.error().message);
  checksum = *parsed;
  return true;
}

bool ControlFileReader::open_unknown() {
  ++skipped_depth_;
  return true;
}

bool ControlFileReader::start_object(std::size_t) {
  if (is_skipping()) return open_unknown();
  switch (place_) {
    case Place::kOutside:
      place_ = Place::kHeader;
      return true;
    case Place::kFiles:
      place_ = Place::kEntry;
      file_ = {};
      return true;
    default:
      return member_ == kUnknown ? open_unknown() : refuse("an object");
  }
}

bool ControlFileReader::end_object() {
  if (is_skipping()) {
    --skipped_depth_;
    return true;
  }
  if (place_ == Place::kEntry) {
    if (!require(kId, kChecksum, 0)) return false;
    seen_ &= bit(kId) - 1;
    control_.files.push_back(std::move(file_));
    place_ = Place::kFiles;
    return true;
  }
  if (!require(kVersion, kFiles, bit(kAgent) | bit(kDestination))) return false;
  is_complete_ = true;
  place_ = Place::kOutside;
  return true;
}

bool ControlFileReader::start_array(std::size_t) {
  if (is_skipping()) return open_unknown();
  if (place_ == Place::kHeader && member_ == kFiles) {
    place_ = Place::kFiles;
    return true;
  }
  const bool is_unknown =
      (place_ == Place::kHeader || place_ == Place::kEntry) && member_ == kUnknown;
  return is_unknown ? open_unknown() : refuse("an array");
}

bool ControlFileReader::end_array() {
  if (is_skipping()) {
    --skipped_depth_;
  } else {
    place_ = Place::kHeader;
  }
  return true;
}

bool ControlFileReader::key(std::string& name) {
  if (is_skipping()) return true;
  const auto begin = kNames.begin() + (place_ == Place::kEntry ? kId : kVersion);
  const auto end = place_ == Place::kEntry ? kNames.end() : kNames.begin() + kId;
  const auto found = std::find(begin, end, name);
  member_ = found == end ? kUnknown : static_cast<Member>(found - kNames.begin());
  if (member_ == kUnknown) return true;
  if ((seen_ & bit(member_)) != 0) return fail("'{}' is there twice", kNames[member_]);
  seen_ |= bit(member_);
  return true;
}

bool ControlFileReader::parse_error(std::size_t position, const std::string&,
                                    const Json::exception&) {
  place_ = Place::kOutside;
  return fail("not valid JSON at byte {}: it was cut short, or is not a control file", position);
}

bool ControlFileReader::require(Member first, Member last, unsigned optional) {
  for (unsigned member = first; member <= last; ++member) {
    if (((seen_ | optional) & bit(member)) == 0) return fail("it has no '{}'", kNames[member]);
  }
  return true;
}

bool ControlFileReader::check_version() {
  if (version_ == kControlFileVersion) return true;
  return fail("it has version {}, this program knows version {}", version_, kControlFileVersion);
}

bool ControlFileReader::check_paths() {
  std::unordered_set<std::string_view> paths;
  paths.reserve(control_.files.size());
  for (const ListedFile& file : control_.files) {
    if (!paths.insert(file.path).second) return fail("it lists '{}' twice", file.path);
  }
  return true;
}

bool ControlFileReader::check_totals() {
  if (count_ != control_.files.size()) {
    return fail("its count is {} and it lists {} files: it was changed, or cut", count_,
                control_.files.size());
  }
  std::uint64_t total = 0;
  for (const ListedFile& file : control_.files) {
    if (__builtin_add_overflow(total, file.size, &total)) return fail("its sizes are impossible");
  }
  if (total == total_bytes_) return true;
  return fail("its total_bytes is {} and the sizes of its files make {}: it was changed",
              total_bytes_, total);
}

Result<ReceivedControlFile> ControlFileReader::finish() {
  if (!error_ && !is_complete_) fail("it is empty");
  if (error_ || !check_totals() || !check_paths()) return *error_;
  return std::move(control_);
}

Result<ReceivedControlFile> read_control_file(std::istream& text) {
  ControlFileReader reader;
  try {
    Json::sax_parse(text, &reader);
  } catch (const std::ios_base::failure& failure) {  // if TEXT is a directory, say
    return make_error(ErrorKind::kInvalid, "cannot be read: {}", failure.code().message());
  }
  return reader.finish();
}

}  // namespace ferry::transfer
