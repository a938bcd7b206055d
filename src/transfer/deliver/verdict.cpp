#include "transfer/deliver/verdict.h"

#include <array>

namespace ferry::transfer {

std::string_view to_string(Verdict verdict) {
  static constexpr std::array<std::string_view, 5> kNames{"missing", "short", "changed", "extra",
                                                          "unreadable"};
  return kNames.at(static_cast<std::size_t>(verdict));
}

Finding finding(const ListedFile& file, Verdict verdict, std::string message) {
  return {.path = file.path, .verdict = verdict, .message = std::move(message)};
}

std::optional<Finding> judge_size(const ListedFile& file, std::uint64_t size) {
  if (size == file.size) return std::nullopt;
  return finding(file, size < file.size ? Verdict::kShort : Verdict::kChanged,
                 fmt::format("it has {} bytes, {} are listed", size, file.size));
}

std::optional<Finding> judge_content(const ListedFile& file, const Checksum& found) {
  if (found == file.checksum) return std::nullopt;
  return finding(
      file, Verdict::kChanged,
      fmt::format("it is {}, listed is {}", found.to_string(), file.checksum.to_string()));
}

Verification collect(FindingsByFile& found, std::uint64_t bytes) {
  Verification verification{.right = 0, .bytes = bytes, .findings = {}};
  for (auto& finding : found) {
    if (finding) {
      verification.findings.push_back(std::move(*finding));
    } else {
      ++verification.right;
    }
  }
  return verification;
}

}  // namespace ferry::transfer
