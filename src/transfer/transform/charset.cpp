// From one character set to another, by iconv(3).
#include <iconv.h>

#include <array>
#include <cerrno>
#include <vector>

#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

/// Longer than any character of any charset.
constexpr std::size_t kMaxCharacterBytes = 32;

::iconv_t no_conversion() {
  return reinterpret_cast<::iconv_t>(-1);  // NOLINT(performance-no-int-to-ptr): iconv_open(3)
}

class CharsetTransform final : public Transform {
 public:
  CharsetTransform(std::string from, std::string to)
      : from_(std::move(from)),
        to_(std::move(to)),
        conversion_(::iconv_open(to_.c_str(), from_.c_str())) {}
  CharsetTransform(const CharsetTransform&) = delete;
  CharsetTransform& operator=(const CharsetTransform&) = delete;
  ~CharsetTransform() override {
    if (is_ready()) ::iconv_close(conversion_);
  }

  bool is_ready() const { return conversion_ != no_conversion(); }

  Result<void> write(std::span<const std::byte> data, const ByteSink& sink) override {
    if (begun_.empty()) return convert(data, sink);
    std::vector<std::byte> joined = std::move(begun_);
    joined.insert(joined.end(), data.begin(), data.end());
    return convert(joined, sink);
  }

  Result<void> finish(const ByteSink& sink) override {
    if (!begun_.empty()) return failure("the input ends within a character");
    std::size_t left = out_.size();
    char* out = out_.data();
    ::iconv(conversion_, nullptr, nullptr, &out, &left);  // back to the initial shift state
    return flush(out_.size() - left, sink);
  }

 private:
  Result<void> convert(std::span<const std::byte> data, const ByteSink& sink) {
    char* in = reinterpret_cast<char*>(const_cast<std::byte*>(data.data()));
    std::size_t rest = data.size();
    begun_.clear();
    while (rest > 0) {
      char* out = out_.data();
      std::size_t left = out_.size();
      const std::size_t before = rest;
      const bool failed =
          ::iconv(conversion_, &in, &rest, &out, &left) == static_cast<std::size_t>(-1);
      const int reason = errno;
      converted_ += before - rest;
      if (auto taken = flush(out_.size() - left, sink); !taken) return taken;
      if (!failed || reason == E2BIG) continue;
      if (reason != EINVAL || rest > kMaxCharacterBytes) {
        return failure("there is no such character");
      }
      const auto begun = data.last(rest);
      begun_.assign(begun.begin(), begun.end());
      return {};
    }
    return {};
  }

  Result<void> flush(std::size_t size, const ByteSink& sink) {
    if (size == 0) return {};
    return sink(std::as_bytes(std::span(out_).first(size)));
  }

  Error failure(std::string_view reason) const {
    return make_error(ErrorKind::kFailed, "byte {} cannot be converted from {} to {}: {}",
                      converted_, from_, to_, reason);
  }

  const std::string from_;
  const std::string to_;
  const ::iconv_t conversion_;
  std::vector<std::byte> begun_;  // of a character whose rest has not come yet
  std::uint64_t converted_ = 0;
  std::array<char, 64 * 1024> out_;
};

bool is_known(const std::string& charset) {
  const ::iconv_t conversion = ::iconv_open("UTF-8", charset.c_str());
  if (conversion == no_conversion()) return false;
  ::iconv_close(conversion);
  return true;
}

std::vector<TransformMistake> check(const TransformSettings& settings) {
  std::vector<TransformMistake> mistakes;
  for (const auto& [key, name] : {std::pair("from", settings.from), {"to", settings.to}}) {
    if (name.empty()) {
      mistakes.push_back({key, fmt::format("'{}' is missing: a charset of iconv -l", key)});
    } else if (!is_known(name)) {
      mistakes.push_back({key, fmt::format("unknown charset '{}': iconv -l lists them", name)});
    }
  }
  return mistakes;
}

Result<std::unique_ptr<Transform>> make(const TransformSettings& settings, const TransformedFile&,
                                        const StopToken&) {
  auto transform = std::make_unique<CharsetTransform>(settings.from, settings.to);
  if (!transform->is_ready()) {
    return make_error(ErrorKind::kFailed, "iconv knows no conversion from {} to {}", settings.from,
                      settings.to);
  }
  return transform;
}

std::string fingerprint_of(const TransformSettings& settings) {
  return fmt::format("charset {} {}", settings.from, settings.to);
}

}  // namespace

extern const TransformType kCharsetType{.name = "charset",
                                        .suffix = "",
                                        .needs_settings = true,
                                        .check = &check,
                                        .make = &make,
                                        .fingerprint = &fingerprint_of};

}  // namespace ferry::transfer
