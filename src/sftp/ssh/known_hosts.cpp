#include "sftp/ssh/known_hosts.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "ferry/base/hash.h"
#include "ferry/base/lock.h"
#include "sftp/ssh/base64.h"

namespace ferry::sftp {
namespace {

constexpr std::uint16_t kDefaultPort = 22;
constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kHashMagic = "|1|";

// Takes the first word of TEXT off it.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

// '*' and '?' as in a shell; linear in memory, no recursion.
bool matches_pattern(std::string_view text, std::string_view pattern) {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_at = 0;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_at = at;
    } else if (in_pattern < pattern.size() &&
               (pattern[in_pattern] == '?' || pattern[in_pattern] == text[at])) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      at = ++star_at;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

bool matches_patterns(std::string_view name, std::string_view patterns) {
  bool matched = false;
  while (!patterns.empty()) {
    const std::size_t end = std::min(patterns.find(','), patterns.size());
    std::string_view pattern = patterns.substr(0, end);
    patterns.remove_prefix(std::min(end + 1, patterns.size()));
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (!matches_pattern(name, pattern)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

// |1|base64 of the salt|base64 of HMAC-SHA1(salt, name)
bool matches_hash(std::string_view name, std::string_view hashed) {
  hashed.remove_prefix(kHashMagic.size());
  const std::size_t bar = hashed.find('|');
  if (bar == std::string_view::npos) return false;
  const auto salt = base64_decode(hashed.substr(0, bar));
  const auto wanted = base64_decode(hashed.substr(bar + 1));
  if (!salt || !wanted) return false;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(EVP_sha1(), salt->data(), static_cast<int>(salt->size()),
           reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest,
           &size) == nullptr) {
    return false;
  }
  return *wanted == std::string_view(reinterpret_cast<const char*>(digest), size);
}

bool is_for(const KnownHost& entry, const std::string& name) {
  return entry.hosts.starts_with(kHashMagic) ? matches_hash(name, entry.hosts)
                                             : matches_patterns(name, lower_case(entry.hosts));
}

std::optional<KnownHost> parse_line(std::string_view line) {
  std::string_view first = next_word(line);
  if (first.empty() || first.starts_with('#')) return std::nullopt;
  KnownHost entry;
  if (first.starts_with('@')) {
    if (first != "@revoked") return std::nullopt;
    entry.revoked = true;
    first = next_word(line);
  }
  entry.hosts = first;
  entry.key_type = next_word(line);
  auto key = base64_decode(next_word(line));
  if (!key || key->empty() || key_type_of(*key) != entry.key_type) return std::nullopt;
  entry.key = std::move(*key);
  return entry;
}

HostKeyLookup look_up_name(const std::vector<KnownHost>& known, const std::string& name,
                           std::string_view key) {
  HostKeyLookup best;
  const auto settle = [&](HostKeyStatus status, const KnownHost& entry) { best = {status, entry}; };
  for (const KnownHost& entry : known) {
    if (!is_for(entry, name)) continue;
    if (entry.revoked) {
      if (entry.key == key) return {HostKeyStatus::kRevoked, entry};
    } else if (entry.key == key) {
      settle(HostKeyStatus::kMatch, entry);
    } else if (best.status == HostKeyStatus::kMatch || best.status == HostKeyStatus::kChanged) {
      continue;
    } else if (entry.key_type == key_type_of(key)) {
      settle(HostKeyStatus::kChanged, entry);
    } else if (best.status == HostKeyStatus::kUnknown) {
      settle(HostKeyStatus::kOtherType, entry);
    }
  }
  return best;
}

}  // namespace

std::vector<KnownHost> parse_known_hosts(std::string_view text, const fs::path& file) {
  std::vector<KnownHost> known;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto entry = parse_line(line);
    if (!entry) continue;
    entry->file = file;
    entry->line = number;
    known.push_back(std::move(*entry));
  }
  return known;
}

HostKeyLookup look_up(const std::vector<KnownHost>& known, std::string_view host,
                      std::uint16_t port, std::string_view key) {
  const std::string name = lower_case(known_hosts_name(host, port));
  HostKeyLookup result = look_up_name(known, name, key);
  if (port == kDefaultPort) return result;
  HostKeyLookup bare = look_up_name(known, lower_case(host), key);
  const bool decides =
      bare.status == HostKeyStatus::kRevoked ||
      (bare.status == HostKeyStatus::kMatch && result.status == HostKeyStatus::kUnknown);
  return decides ? bare : result;
}

std::vector<std::string> known_key_types(const std::vector<KnownHost>& known, std::string_view host,
                                         std::uint16_t port) {
  std::vector<std::string> types;
  const auto collect = [&](const std::string& name) {
    for (const KnownHost& entry : known) {
      const bool listed = std::ranges::find(types, entry.key_type) != types.end();
      if (!entry.revoked && !listed && is_for(entry, name)) types.push_back(entry.key_type);
    }
  };
  collect(lower_case(known_hosts_name(host, port)));
  if (types.empty()) collect(lower_case(host));
  return types;
}

std::string known_hosts_name(std::string_view host, std::uint16_t port) {
  return port == kDefaultPort ? std::string(host) : fmt::format("[{}]:{}", host, port);
}

std::string_view key_type_of(std::string_view key) {
  constexpr std::size_t kLengthBytes = 4;
  if (key.size() < kLengthBytes) return {};
  std::size_t size = 0;
  for (const char byte : key.substr(0, kLengthBytes)) {
    size = size << 8 | static_cast<unsigned char>(byte);
  }
  return size <= key.size() - kLengthBytes ? key.substr(kLengthBytes, size) : std::string_view();
}

std::string fingerprint(std::string_view key) {
  const Checksum checksum = sha256_of(key);
  std::string text = base64_encode(std::string_view(
      reinterpret_cast<const char*>(checksum.digest.data()), digest_size(HashAlgorithm::kSha256)));
  text.erase(std::min(text.find('='), text.size()));
  return "SHA256:" + text;
}

Result<void> add_known_host(const fs::path& file, std::string_view host, std::uint16_t port,
                            std::string_view key) {
  const fs::path directory = file.parent_path();
  if (!directory.empty() && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(errno, fmt::format("create directory {}", directory.string()));
  }
  auto fd = open_file(file, O_RDWR | O_APPEND | O_CREAT, 0600);
  if (!fd) return fd.error();
  const auto lock = FileLock::acquire(file, std::chrono::seconds(5));
  if (!lock) return lock.error();

  const auto status = stat_fd(fd->get(), file);
  if (!status) return status.error();
  std::string text(static_cast<std::size_t>(status->st_size), '\0');
  const auto count = pread_full(fd->get(), std::as_writable_bytes(std::span(text)), 0, file);
  if (!count) return count.error();
  text.resize(*count);
  const auto current = look_up(parse_known_hosts(text, file), host, port, key);
  if (current.status == HostKeyStatus::kMatch) return {};
  if (current.status != HostKeyStatus::kUnknown) {
    return make_error(ErrorKind::kRefused, "{}:{}: another process just added another key for {}",
                      file.string(), current.known->line, known_hosts_name(host, port));
  }
  const bool torn = !text.empty() && !text.ends_with('\n');
  const std::string line =
      fmt::format("{}{} {} {}\n", torn ? "\n" : "", known_hosts_name(host, port), key_type_of(key),
                  base64_encode(key));
  return write_full(fd->get(), as_bytes(line), file);
}

}  // namespace ferry::sftp
