#include "ferry/base/acceptance.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "ferry/base/child_process.h"
#include "ferry/base/file.h"
#include "ferry/base/path.h"

namespace ferry {
namespace {

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool ends_with_extension(std::string_view path, std::string_view extension) {
  if (extension.starts_with('.')) extension.remove_prefix(1);
  const std::string_view name = base_name(path);
  // A name is more than its extension.
  if (name.size() < extension.size() + 2) return false;
  const std::string_view end = name.substr(name.size() - extension.size());
  return name[name.size() - extension.size() - 1] == '.' &&
         std::ranges::equal(end, extension, {}, lower, lower);
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

bool starts_with(std::span<const std::byte> head, const MagicBytes& magic) {
  const auto wanted = magic.bytes();
  return head.size() >= wanted.size() && std::ranges::equal(head.first(wanted.size()), wanted);
}

std::string wrong_magic(const AcceptancePolicy& policy, std::span<const std::byte> head) {
  std::vector<std::string> wanted;
  for (const MagicBytes& magic : policy.magic) wanted.push_back(magic.to_string());
  constexpr std::size_t kShown = 8;
  return fmt::format("it starts with {}, not with {}",
                     to_hex(head.first(std::min(kShown, head.size()))), fmt::join(wanted, " or "));
}

std::optional<std::string> size_refusal(const AcceptancePolicy& policy, std::uint64_t size) {
  if (size == 0) {
    if (policy.empty == EmptyFiles::kQuarantine) return "it is empty";
    return std::nullopt;
  }
  if (size < policy.min_size) {
    return fmt::format("it has {} bytes, less than min_size ({})", size, policy.min_size);
  }
  if (policy.max_size > 0 && size > policy.max_size) {
    return fmt::format("it has {} bytes, more than max_size ({})", size, policy.max_size);
  }
  return std::nullopt;
}

}  // namespace

Result<MagicBytes> MagicBytes::parse(std::string_view text) {
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    const std::string_view digits = text.substr(at, 2);
    unsigned value = 0;
    const auto [rest, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc{} || rest != digits.data() + 2) {
      return make_error(ErrorKind::kInvalid,
                        "'{}' is not an even number of hexadecimal digits, such as 504b0304", text);
    }
    bytes.push_back(static_cast<std::byte>(value));
  }
  if (bytes.empty()) return make_error(ErrorKind::kInvalid, "no bytes are given");
  if (bytes.size() > kMostBytes) {
    return make_error(ErrorKind::kInvalid, "more than {} bytes are given", kMostBytes);
  }
  return MagicBytes(std::move(bytes));
}

std::string MagicBytes::to_string() const {
  return to_hex(bytes_);
}

bool takes_everything(const AcceptancePolicy& policy) {
  return policy.empty == EmptyFiles::kDeliver && policy.min_size == 0 && policy.max_size == 0 &&
         policy.extensions.empty() && policy.magic.empty() && policy.validate.empty();
}

std::size_t magic_length(const AcceptancePolicy& policy) {
  std::size_t longest = 0;
  for (const MagicBytes& magic : policy.magic) longest = std::max(longest, magic.bytes().size());
  return longest;
}

std::optional<std::string> refusal_reason(const AcceptancePolicy& policy, const FileFacts& file) {
  if (!policy.extensions.empty() &&
      std::ranges::none_of(policy.extensions, [&](const std::string& extension) {
        return ends_with_extension(file.path, extension);
      })) {
    return fmt::format("its name ends with none of: {}", fmt::join(policy.extensions, ", "));
  }
  if (auto refusal = size_refusal(policy, file.size)) return refusal;
  if (!policy.magic.empty() && file.size > 0 &&
      std::ranges::none_of(
          policy.magic, [&](const MagicBytes& magic) { return starts_with(file.head, magic); })) {
    return wrong_magic(policy, file.head);
  }
  return std::nullopt;
}

namespace {

/// What shells and env(1) return if the program cannot be run. A shell whose command a signal ended
/// returns more than that.
constexpr int kCannotRun = 126;

Result<std::optional<std::string>> ask_command(const AcceptancePolicy& policy, int fd,
                                               const std::vector<std::string>& environment,
                                               const StopToken& stop) {
  using Refusal = std::optional<std::string>;
  const auto result = run_command(policy.validate, environment, fd, policy.validate_timeout, stop);
  if (!result) {
    // Too slow is the file's fault as long as nothing else is known.
    if (result.error().kind == ErrorKind::kFailed) return Refusal(result.error().message);
    return result.error().with_context("validate");
  }
  if (result->status == 0) return Refusal();
  std::string text = describe_exit(policy.validate[0], result->status, result->stderr_text);
  const bool has_judged = result->status > 0 && result->status < kCannotRun;
  if (!has_judged) return Error{ErrorKind::kFailed, std::move(text), 0};
  return Refusal(std::move(text));
}

}  // namespace

Result<std::optional<std::string>> judge(const AcceptancePolicy& policy, int fd,
                                         std::string_view path, std::uint64_t size,
                                         const std::vector<std::string>& environment,
                                         const StopToken& stop) {
  std::vector<std::byte> head(magic_length(policy));
  const auto count = pread_full(fd, head, 0, fs::path(std::string(path)));
  if (!count) return count.error();
  auto refusal = refusal_reason(policy, {path, size, std::span(head).first(*count)});
  if (refusal || policy.validate.empty()) return refusal;
  return ask_command(policy, fd, environment, stop);
}

std::vector<std::string> judged_environment(const std::string& landing, const std::string& path,
                                            std::uint64_t size, const Checksum& checksum) {
  return {"FERRY_LANDING=" + landing, "FERRY_PATH=" + path, "FERRY_SIZE=" + std::to_string(size),
          "FERRY_CHECKSUM=" + checksum.to_string()};
}

std::chrono::nanoseconds age_of_change(const FileIdentity& identity,
                                       std::chrono::sys_time<std::chrono::nanoseconds> now) {
  using std::chrono::nanoseconds;
  const auto of_content = now.time_since_epoch() - nanoseconds(identity.mtime_ns);
  if (identity.ctime_ns == 0) return of_content;
  const auto of_inode = now.time_since_epoch() - nanoseconds(identity.ctime_ns);
  return of_content < nanoseconds::zero() ? of_inode : std::min(of_inode, of_content);
}

std::chrono::milliseconds remaining_wait(std::chrono::milliseconds min_age, Timestamp changed,
                                         Timestamp now) {
  using std::chrono::milliseconds;
  // It lies so far ahead that the clock must have been set back since: it says nothing any more.
  if (changed - now > min_age) return milliseconds(0);
  return std::clamp(min_age - (now - changed), milliseconds(0), min_age);
}

}  // namespace ferry
